// Rounds of runs, and what is drawn from them.

/**
 * Runs every peer once per round, every other round backwards, so that a drift of the machine meets
 * them all alike. Returns the runs by peer name, each with its round. A peer that failed is
 * out of it.
 */
export async function alternate(peers, rounds, what, runOnce) {
  const runs = new Map(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const left = peers.filter(({ name }) => runs.has(name));
    for (const peer of round % 2 ? left.toReversed() : left) {
      try {
        runs.get(peer.name).push({ round, ...(await runOnce(peer)) });
      } catch (error) {
        console.log(`FAILED ${peer.name}, ${what}: ${error.message}`);
        process.exitCode = 1;
        runs.delete(peer.name);
      }
    }
  }
  return runs;
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Lowest, median and highest of one figure over the runs. */
export function range(runs, figure) {
  const values = runs.map((run) => run[figure]);
  return { lowest: Math.min(...values), median: median(values), highest: Math.max(...values) };
}

/** The median, over the rounds in which both ran, of one figure by the other peer's; or a dash. */
export function pairedRatio(runs, others, figure) {
  const ratios = runs.flatMap((run) => {
    const other = others?.find(({ round }) => round === run.round);
    return other ? [run[figure] / other[figure]] : [];
  });
  return ratios.length > 0 ? median(ratios).toFixed(2) : '-';
}
