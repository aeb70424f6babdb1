//! The processor's cycle counter, which is read faster than any clock.

/// The number of cycles since some point in the past, where the processor counts them at a constant
/// rate of at least half a gigahertz, the same on all its cores.
#[inline]
pub(crate) fn cycles() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__cpuid, _rdtsc};
        use std::sync::LazyLock;

        /// Whether the counter goes on at its own rate whatever the processor does to save power.
        static INVARIANT: LazyLock<bool> = LazyLock::new(|| {
            // SAFETY: every x86-64 processor has this instruction and its first extended leaf.
            #[allow(unused_unsafe)]
            let leaf = |number| unsafe { __cpuid(number) };
            leaf(0x8000_0000).eax >= 0x8000_0007 && leaf(0x8000_0007).edx & 1 << 8 != 0
        });
        // SAFETY: every x86-64 processor has this instruction; it reads no memory.
        INVARIANT.then(|| unsafe { _rdtsc() })
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}
