// `npm run demo`: installs, builds and runs the main job, on a fresh clone too.

import { build } from './build.mjs';
import { heading, main, mustRun } from './lib.mjs';

await main(async () => {
  await build();
  heading('examples/quickstart.ts');
  const args = ['--import', 'tsx', 'examples/quickstart.ts'];
  await mustRun('the demo', process.execPath, [...args, ...process.argv.slice(2)]);
});
