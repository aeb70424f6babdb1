//! Regular files, which are always ready and which most facilities refuse.

use std::fs::File;
use std::os::fd::AsRawFd;

use evcore::backend::Interest;

use super::Watch;

pub fn a_regular_file_is_refused_with_its_error_number(mut watch: Watch) {
    let file = regular_file();
    let error = watch.backend.add(file.as_raw_fd(), Interest::READ).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    watch.remove(&file, Interest::READ);
    assert_eq!(watch.now(), []);
}

pub fn a_regular_file_is_always_ready(mut watch: Watch) {
    let file = regular_file();
    watch.add(&file, Interest::READ);
    for _ in 0..3 {
        assert_eq!(watch.now(), [(file.as_raw_fd(), Interest::READ)]);
    }
}

fn regular_file() -> File {
    File::open(std::env::current_exe().unwrap()).unwrap()
}
