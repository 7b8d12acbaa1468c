/* Which platform this build is for. The browser build replaces the compiled form of this one line by `export { browser as host } from './browser.js'`. */
export { node as host } from './node.js'
