// Parts of the page.  Text goes in by textContent only.

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string | number | null} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

const ADDRESS = /^(https:\/\/|about\/|\?)/;

/**
 * A link that opens beside the page; to the web, to a document of this server or to another view of the page.
 * @param {string} says
 * @param {string} address
 */
export function link(says, address) {
  const made = node('a', '', says);
  if (!ADDRESS.test(address)) return made;
  made.href = address;
  made.target = '_blank';
  made.rel = 'noopener';
  return made;
}

/**
 * Looks for parts of `root` by class.
 * @param {ParentNode} root
 * @returns {Find}
 */
export function finder(root) {
  return (name, kind) => {
    const found = root.querySelector(`.${name}`);
    if (!(found instanceof (kind ?? HTMLElement))) throw new Error(`no ${kind?.name ?? 'part'} of class ${name}`);
    return /** @type {any} */ (found);
  };
}

/**
 * Copies a text; says whether the browser allowed it.
 * @param {string} text
 */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Closes a menu on Escape, and when the focus leaves it.
 * @param {HTMLDetailsElement} menu
 * @param {HTMLElement} head its summary
 */
export function menuKeys(menu, head) {
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    head.focus();
  });
  menu.addEventListener('focusout', (event) => {
    if (!(event.relatedTarget instanceof Node && menu.contains(event.relatedTarget))) menu.open = false;
  });
}

/**
 * Which way an arrow key goes in a row of choices, or 0.
 * @param {string} key
 */
export function arrowStep(key) {
  if (key === 'ArrowRight' || key === 'ArrowDown') return 1;
  return key === 'ArrowLeft' || key === 'ArrowUp' ? -1 : 0;
}

/**
 * What keys do in a player: the arrows, space (which buttons keep for themselves), Home and End.
 * @param {HTMLElement} root
 * @param {{ step: (by: number) => void, toggle: () => void, home: () => void, end: () => void }} acts
 * @param {(event: KeyboardEvent, target: HTMLElement) => boolean} passes over what is not meant for the player
 */
export function onPlayerKeys(root, acts, passes) {
  root.addEventListener('keydown', (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || passes(event, target)) return;
    if (event.key === ' ' && target.tagName === 'BUTTON') return;
    if (event.key === 'ArrowLeft') acts.step(-1);
    else if (event.key === 'ArrowRight') acts.step(1);
    else if (event.key === ' ') acts.toggle();
    else if (event.key === 'Home') acts.home();
    else if (event.key === 'End') acts.end();
    else return;
    event.preventDefault();
  });
}

/**
 * Scrolling that those who want little motion are spared.
 * @param {MediaQueryList} calm
 * @returns {ScrollBehavior}
 */
export const scrolling = (calm) => (calm.matches ? 'auto' : 'smooth');

/** Whether the visitor wants little motion. */
export const calmness = () => window.matchMedia('(prefers-reduced-motion: reduce)');
