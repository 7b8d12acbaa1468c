/* What the training Worker loads: host.ts, connected to the Worker's other end. */
import { platform } from '../platform/platform.js'
import { host } from './host.js'
import { READY } from './messages.js'

platform().serve((post) => {
  const listener = host(post, { alone: true })
  post(READY, [])
  return listener
})
