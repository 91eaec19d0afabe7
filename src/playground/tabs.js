import { byId } from './elements.js'

/** The keys of the ARIA tabs pattern: arrows, Home, End. `onSelect` is called with the id of the tab. */
export function wireTabs(tabs, onSelect) {
  const select = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute('aria-selected', String(tab === chosen))
      tab.tabIndex = tab === chosen ? 0 : -1
      byId(tab.getAttribute('aria-controls')).hidden = tab !== chosen
    }
    onSelect(chosen.id)
  }
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener('click', () => select(tab))
    tab.addEventListener('keydown', ({ key }) => {
      const steps = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }
      if (steps[key] === undefined) return
      const next = tabs[(steps[key] + tabs.length) % tabs.length]
      next.focus()
      select(next)
    })
  }
}
