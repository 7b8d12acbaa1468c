/* configure(): what holds for the whole process. */
import { configureWorker } from './backends/remote.js'
import { invalid, Options } from './check/values.js'

/**
 * Who makes the one training Worker, for WebAssembly and the reference: a function (where a bundler cannot follow the package's own), or
 * false for none: then jobs run in slices on this thread, as they do where the package's own cannot be started. Models that have a Worker
 * keep it.
 * @throws ERR_INVALID_ARG, ERR_UNKNOWN_OPTION
 */
export function configure(o: { worker?: false | (() => object) }): void {
  const worker = new Options(o, 'options', 'configure').get('worker')
  if (worker !== undefined && worker !== false && typeof worker !== 'function')
    throw invalid('options.worker', 'false or a function that makes a Worker', worker)
  configureWorker(worker as undefined | false | (() => unknown))
}
