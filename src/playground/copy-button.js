/* global navigator */
import { byId } from './elements.js'

/** Copies the element that `data-copy` names. */
export function wireCopyButton(button) {
  button.addEventListener('click', () => void copy(button))
}

async function copy(button) {
  const source = byId(button.dataset.copy)
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent)
    button.textContent = 'Copied'
  } catch {
    // Without a secure context there is no clipboard: select it, so that one key press copies.
    source.focus()
    source.select?.()
    button.textContent = 'Press Ctrl+C'
  }
  setTimeout(() => (button.textContent = 'Copy'), 1600)
}
