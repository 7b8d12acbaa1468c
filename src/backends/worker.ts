/* What the training Worker loads: host.ts, connected to the Worker's other end. */
import { platform } from '../platform/platform.js'
import { host } from './host.js'

platform().serve(host)
