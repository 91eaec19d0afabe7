/* global document */

/** `create('p', { class: 'x', text: 'y' }, child)`: text goes in as text, never as markup. */
export function create(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (name === 'text') element.textContent = value
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

export const byId = (id) => document.getElementById(id)

/** Rows of a definition list: [term, description, isBad]. Rows without a description are left out. */
export function fillFacts(list, rows) {
  list.replaceChildren(
    ...rows
      .filter(([, description]) => description !== undefined && description !== null && description !== '')
      .map(([term, description, isBad]) =>
        create(
          'div',
          { class: isBad ? 'bad' : undefined },
          create('dt', { text: term }),
          create('dd', { text: description }),
        ),
      ),
  )
}
