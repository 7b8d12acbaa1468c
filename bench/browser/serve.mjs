/* The end of a contestant that is a page: `hello` says who it is, or why it is not there, and `ask` answers (../passes.mjs). */
import { requests } from '../passes.mjs'

/** What the page's address says: ?threads=1&… */
export const given = Object.fromEntries(new URL(location.href).searchParams)

/** @param make → { name, version, description, build }, or a promise of it */
export function serve(make) {
  let answers
  globalThis.hello = (async () => {
    try {
      const { build, ...who } = await make()
      answers = requests(build, async (folder, name) => (await fetch(`/${folder}/${name}`)).arrayBuffer())
      return who
    } catch (error) {
      return { absent: error.message.split('\n')[0] }
    }
  })()
  globalThis.ask = async (request) => {
    try {
      return await answers[request.do](request)
    } catch (error) {
      return { error: error.message.slice(0, 300) }
    }
  }
}
