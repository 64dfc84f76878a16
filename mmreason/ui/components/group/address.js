// What the page's address says of the inspector: the group that is looked at, and the segment that is open.

const PLACES = ['prompt', 'rollout', 'segment'];

/**
 * The address of a prompt of a group, of one of its segments, or of no group.
 * @param {string} href
 * @param {string} link what the address calls the group; '' where none leads to it
 * @param {number} prompt from 0
 * @param {{ g: number, s: number } | null} segment
 */
export function addressTo(href, link, prompt, segment) {
  const address = new URL(href);
  const places = [prompt ? prompt + 1 : '', segment ? segment.g + 1 : '', segment ? segment.s + 1 : ''];
  const named = link ? PLACES.flatMap((name, i) => (places[i] === '' ? [] : [[name, String(places[i])]])) : [];
  address.search = new URLSearchParams(link ? [['group', link], ...named] : []).toString();
  return address.href;
}

/**
 * The group that an address names; '' where it names none.
 * @param {string} href
 */
export const groupOf = (href) => new URL(href).searchParams.get('group') ?? '';
