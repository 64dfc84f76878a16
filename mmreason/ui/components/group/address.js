// What the page's address says: the tab that is open, and in Inspect the group that is looked at and the open segment.

const TABS = ['watch', 'inspect', 'train', 'cost', 'results'];
const PLACES = ['prompt', 'rollout', 'segment'];

/**
 * The address of a prompt of a group, of one of its segments, or of Inspect where no link leads to the group.
 * @param {string} href
 * @param {string} link what the address calls the group; '' where none leads to it
 * @param {number} prompt from 0
 * @param {{ g: number, s: number } | null} segment
 */
export function addressTo(href, link, prompt, segment) {
  const address = new URL(href);
  const places = [prompt ? prompt + 1 : '', segment ? segment.g + 1 : '', segment ? segment.s + 1 : ''];
  const named = link ? PLACES.flatMap((name, i) => (places[i] === '' ? [] : [[name, String(places[i])]])) : [];
  address.search = new URLSearchParams(link ? [['group', link], ...named] : [['tab', 'inspect']]).toString();
  return address.href;
}

/**
 * The group that an address names; '' where it names none.
 * @param {string} href
 */
export const groupOf = (href) => new URL(href).searchParams.get('group') ?? '';

/**
 * The tab that an address names: that of the group or the run that it leads to, else its own; Watch where it names none.
 * @param {string} href
 */
export function tabOf(href) {
  const asked = new URL(href).searchParams;
  if (asked.has('group')) return 'inspect';
  if (asked.has('run')) return 'train';
  return TABS.find((tab) => tab === asked.get('tab')) ?? 'watch';
}

/**
 * The address of a tab: the same as long as it names this tab, else of the tab and of nothing in it.
 * @param {string} href
 * @param {string} tab
 */
export function addressOfTab(href, tab) {
  if (tabOf(href) === tab) return href;
  const address = new URL(href);
  address.search = tab === TABS[0] ? '' : `?tab=${tab}`;
  return address.href;
}
