// What gradio gives the script of a component, and what the server sends as its value.

/** The component's own place on the page; its template is already in it. */
declare const element: HTMLElement;
// biome-ignore lint/suspicious/noExplicitAny: whatever the server sent; each script checks it before use
declare const props: { value: any; [name: string]: any };
/** Sends an event of the component to the server. */
declare function trigger(event: string, data: object): void;
/** Calls `run` whenever the prop is another one. */
declare function watch(prop: string, run: () => void): void;

/** The scripts that components share, loaded once a page: shell/component.py joins them. */
declare const mm: typeof import('./shared/dom.js') &
  typeof import('./shared/glossary.js') &
  typeof import('./shared/focus.js') &
  typeof import('./shared/keys.js') &
  typeof import('./shared/day.js') &
  typeof import('./shared/words.js') &
  typeof import('./shared/frames.js') &
  typeof import('./shared/photo.js') &
  typeof import('./shared/canvas.js') &
  typeof import('./shared/album.js') &
  typeof import('./shared/cards.js') &
  typeof import('./shared/save.js') &
  typeof import('./shared/chart.js') &
  typeof import('./board/tiles.js') &
  typeof import('./header/tour.js') &
  typeof import('./player/narration.js') &
  typeof import('./player/pointing.js') &
  typeof import('./player/sharing.js') &
  typeof import('./player/poster.js') &
  typeof import('./player/share.js') &
  typeof import('./player/draw.js') &
  typeof import('./twin/opening.js') &
  typeof import('./opened/rollouts.js') &
  Pick<typeof import('./twin/asking.js'), 'holdOwn'> &
  typeof import('./twin/solving.js') &
  typeof import('./browser/weights.js') &
  typeof import('./browser/network.js') &
  typeof import('./browser/unmask.js') &
  typeof import('./browser/rollout.js') &
  typeof import('./browser/step.js') &
  typeof import('./shared/shapes.js') &
  typeof import('./group/address.js') &
  typeof import('./group/asking.js') &
  typeof import('./group/columns.js') &
  typeof import('./group/what_if.js') &
  typeof import('./group/segment/region.js') &
  typeof import('./group/segment/card.js') &
  typeof import('./group/segment/strip.js') &
  typeof import('./group/segment/pictures.js') &
  typeof import('./group/segment/drawer.js') &
  typeof import('./group/grid.js') &
  typeof import('./group/figures.js') &
  typeof import('./group/point.js') &
  typeof import('./group/order.js') &
  typeof import('./group/following.js') &
  typeof import('./group/prompt.js') &
  typeof import('./film/paint.js') &
  typeof import('./film/story.js');

/** What the page without a server is made of: ui/twin.py. */
declare const twin: {
  // biome-ignore lint/suspicious/noExplicitAny: as twin/asking.js reads it
  groups: Record<string, any>;
  /** What the files of the folder solver say, once they are loaded. */
  // biome-ignore lint/suspicious/noExplicitAny: as twin/solving.js reads it
  solver: Record<string, any>;
  /** The script of the worker that solves. */
  worker: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the page was made with
  data: any;
  components: Record<
    string,
    // biome-ignore lint/suspicious/noExplicitAny: as of any component
    { template: string; run: (element: HTMLElement, props: any, trigger: any, watch: any) => void }
  >;
};

interface ChartAxis {
  says?: string;
  low: number;
  high: number;
  log?: boolean;
  /** What follows its numbers, such as " %". */
  unit?: string;
  ticks?: [number, string][];
}
type ChartPoint = [x: number, y: number, low?: number | null, high?: number | null, says?: string];
interface ChartLine {
  name: string;
  /** Of the page's variables, such as "words" or "arm-joint". */
  colour: string;
  dash?: 'solid' | 'dash' | 'dot' | 'dashdot';
  /** Such as "circle" or "square-open"; none: no marks. */
  mark?: string;
  size?: number;
  /** Of the line in px; 0: points alone. */
  weight?: number;
  faint?: boolean;
  unnamed?: boolean;
  /** What stands beside each point. */
  tags?: string[];
  points: ChartPoint[];
}
interface ChartRule {
  axis: 'x' | 'y';
  at: number;
  says: string;
}
/** A line to drag over whole numbers from `low` to `high`, and what is said at each. */
interface ChartDrag {
  name: string;
  low: number;
  high: number;
  at: number;
  says: string[];
}
/** Of a box in a figure, in its units. */
type Bounds = [left: number, right: number, top: number, bottom: number];
interface Chart {
  /** Name of its files, without an ending. */
  file: string;
  title: string;
  says?: string;
  x: ChartAxis;
  y: ChartAxis;
  lines: ChartLine[];
  /** Intervals lie along x, and rows are named by y's ticks. */
  across?: boolean;
  labels?: 'ends' | 'below' | 'none';
  rules?: ChartRule[];
  drag?: ChartDrag;
  height: number;
  span?: '' | 'half' | 'third';
  /** Headings of x and y in its CSV. */
  columns: [string, string];
}

/** Finds the one part of a component with a class; throws if there is none, or one of another kind. */
type Find = <T extends Element = HTMLElement>(name: string, kind?: new () => T) => T;

/** Codes of the codebook sheet by cell, row by row; null where masked. */
type Codes = (number | null)[];
type Words = (string | null)[];
type Tone = 'yes' | 'no' | 'none';

interface SheetValue {
  image: string;
  columns: number;
}
interface Box {
  top: number;
  left: number;
  bottom: number;
  right: number;
}
interface CanvasOptions {
  /** Boxes such as "r1c1 r2c3". */
  region?: string[] | null;
  label?: string;
  /** Cells that were just committed. */
  fresh?: number[];
  /** Width of a box's line, in 512ths of the canvas. */
  edge?: number;
}

interface Verdict {
  right: boolean;
  reason: string;
  components?: Record<string, number>;
}
interface Frame<T> {
  tokens: T;
  /** Places of the tokens that this step committed. */
  committed: number[];
  /** How sure it was of each of them. */
  probability?: number[];
}
interface Judged {
  turn: number;
  done: boolean;
  reward: number | null;
  verdict: Verdict | null;
  /** The words of a segment that is shown without its frames. */
  text?: string;
}
interface TextSegment extends Judged {
  kind: 'thought' | 'answer';
  frames: Frame<Words>[];
  runners_up?: RunnersUp<string>;
}
/** By frame and committed token the likeliest others, with their probabilities. */
type RunnersUp<T> = [T, number][][][];
/** How sure it was of a token, and of which others; `known` where the trace keeps them. */
interface Odds {
  when: string;
  /** The committed one first. */
  rows: { token: string | number; share: number }[];
  rest: number;
  known?: boolean;
}
interface EditSegment extends Judged {
  kind: 'edit';
  region: string[];
  cells: number[];
  frames: Frame<Codes>[];
  runners_up?: RunnersUp<number>;
}
type Segment = TextSegment | EditSegment;

/** Parts of a picture by code: each code's cell in it, of 8 × 8. */
interface Photo {
  picture: HTMLCanvasElement;
  homes: Map<number, number>;
}
interface Problem {
  task: string;
  difficulty: string;
  seed: number | null;
  question: string;
  turns: number;
  /** What a visitor made, as its file has it. */
  own?: { swaps?: unknown };
}
interface Ended {
  segments: Segment[];
  success: boolean;
  /** Whether the last picture solves the puzzle, and whether the answer is true; of a run that has ended. */
  right?: { picture: boolean; answer: boolean } | null;
  end_reason: string;
}
interface Advice {
  kind: 'thought' | 'edit' | 'answer' | 'end';
  turn: number;
  why: string;
  right: string | null;
  codes: Codes | null;
  from_start: boolean;
}
interface PlayerValue extends Ended {
  run: number;
  state: 'ready' | 'running' | 'stopped' | 'finished' | 'example';
  problem: Problem;
  settings: { num_steps?: number; attention?: string; turn?: string; seed?: number };
  sheet: SheetValue;
  canvas_codes: Codes;
  cost: { tokens_forwarded: number; full_redraw_tokens: number; seconds: number } | null;
  expected: { steps: { thought: string; codes: Codes }[]; answer: string } | null;
  advice: Advice | null;
  link: string | null;
}

/** A position of the player: segment -1 is the bare puzzle, frame 0 fully masked. */
interface Spot {
  s: number;
  f: number;
}
interface Timeline {
  spots: Spot[];
  /** Codes before each segment, then those at the end. */
  canvases: Codes[];
  /** Position of each segment's frame 0. */
  firstSpot: number[];
}
interface Card {
  card: HTMLElement;
  title: HTMLButtonElement;
  words: HTMLElement;
  before: HTMLCanvasElement;
  after: HTMLCanvasElement;
  pictures: HTMLElement;
  thoughtVerdict: HTMLElement;
  editVerdict: HTMLElement;
  textReward: HTMLElement;
  imageReward: HTMLElement;
  /** The first of its segments. */
  first: number;
  /** What it shows, to leave it alone while that is the same. */
  key: string;
}
/** All that a player on the page holds. */
interface Player extends Timeline {
  find: Find;
  root: HTMLElement;
  sheet: import('./shared/canvas.js').Sheet;
  calm: MediaQueryList;
  value: PlayerValue;
  position: number;
  seen: number;
  playing: boolean;
  following: boolean;
  /** By Stop, and nothing has moved since. */
  stopped: boolean;
  /** Whether the end was shown when it was last drawn. */
  ended: boolean;
  cards: Map<number | 'answer', Card>;
  current: Card | null;
  said: string;
  /** Cells that are lit, since the pointer is at them or at their names. */
  lit: number[];
  /** Whether the expected solution lies over the board. */
  ghost: boolean;
  /** Says again what is pointed at, as it stands now. */
  repoint: (() => void) | null;
  /** Goes to a position and on from there as before. */
  jump(position: number): void;
}

/** A text of a film: at each frame runs of words, and how many tokens are masked between them. */
interface FilmText extends Judged {
  kind: 'thought' | 'answer';
  text: string;
  frames: { pieces: (string | number)[] }[];
}
interface FilmEdit extends Judged {
  kind: 'edit';
  /** Its region in words. */
  words: string;
  /** Flat indices of codes. */
  cells: number[];
  /** Pixels round them: left, top, width, height. */
  box: [number, number, number, number];
  /** Address of what lies there afterwards; null until it is drawn. */
  patch: string | null;
  frames: { committed: number[]; sketch: string | null }[];
}
type FilmSegment = FilmText | FilmEdit;
/** What solve/film.py says of a run of a public checkpoint. */
interface FilmValue {
  run: number;
  state: 'ready' | 'running' | 'stopped' | 'finished';
  picture: { src: string; width: number; height: number };
  /** Rows and columns of codes, and of the cells that are named. */
  grid: [number, number];
  marks: [number, number];
  own: boolean;
  question: string;
  mode: string;
  chosen: { cells: number[]; words: string };
  segments: FilmSegment[];
  end_reason: string;
  /** Null where nobody judges. */
  success: boolean | null;
  cost: { passes: number; tokens: number; seconds: number } | null;
}

interface DuetSide extends Ended {
  name: string;
  canvas_codes: Codes;
  text: number;
  image: number | null;
  cost: { tokens_forwarded: number };
}

type Step = [passes: number, tokens: number, segment: number, positions: number[], values: (string | number)[]];
type LaneSegment = { turn: number; length: number } & (
  | { kind: 'thought' | 'answer' }
  | { kind: 'edit'; region: string[]; cells: number[] }
);
interface Lane {
  arm: string;
  words: string;
  canvas_codes: Codes;
  segments: LaneSegment[];
  steps: Step[];
  passes: number;
  tokens: number;
  success: boolean;
  end_reason: string;
}
type Clock = 'passes' | 'tokens';

/** A segment as the inspector's grid shows it. */
interface CardView {
  modality: 'text' | 'image';
  kind: 'thought' | 'edit' | 'answer';
  turn: number;
  reward: number | null;
  /** The beginning of its words, and how many letters there are. */
  text?: string;
  letters?: number;
  picture?: number | null;
  width?: number;
  height?: number;
  /** Its region, as shares of the picture: left, top, right, bottom. */
  boxes?: number[][];
  /** Or the number of the picture that masks it. */
  mask?: number | null;
  /** Why its picture cannot be shown. */
  broken?: string | null;
}
interface GivenView {
  modality: 'text' | 'image';
  role: string;
  text?: string;
  picture?: number;
  width?: number;
  height?: number;
}
/** What view.group_view says. */
interface GroupView {
  prompts: { name: string; rollouts: number }[];
  count: number;
  prompt: number;
  name: string;
  given: GivenView[];
  rows: {
    id: string;
    success: boolean | null;
    rewards: Record<string, number>;
    letters: number;
    segments: CardView[];
  }[];
  components: string[];
  judges: { text?: string[]; image?: string[] };
  format: string;
  source: string;
  notes: string[];
  link: string;
  follows: boolean;
  native: boolean;
  drawings: string[];
}
interface PushRow {
  text: number | null;
  image: number | null;
  apart: number;
  joint: number[];
  factorized: number[];
  own: number[];
  right: (boolean | null)[];
}
/** What whatif.push_value says. */
interface PushValue {
  granularity: 'trace' | 'turn';
  size: number;
  rows: PushRow[];
  point: { g: number; s: number; joint: number; factorized: number } | null;
  sentence: string;
  counts: string;
  slots: { place: string; modality: 'text' | 'image'; members: number; mean: number; low: number; high: number }[];
  formula: string[];
  crossing: { sign_conflict: number; idle_push: number; sigma_ratio: number; correlation: number | null };
  assumed: boolean;
}
interface Finding {
  finding: string;
  sentence: string;
  /** Prompt and rollout, from 0. */
  places: [number, number][];
  /** And turns of these, where the finding is about turns. */
  turns: [number, number, number][];
}
/** What detail.segment_detail says. */
interface Detail {
  text: string | null;
  tokens: { word: string; probability: number | null; step: number | null }[];
  dropped: number;
  reason: string;
  rewards: [string, string][];
  more: string;
  four: { assignment: string; granularity: 'trace' | 'turn'; value: number; line: string }[];
  pictures: {
    before: number | null;
    after: number | null;
    expected: string | null;
    width: number;
    height: number;
    boxes: number[][];
    mask: number | null;
    wrong: number[][];
    whole: boolean;
    broken: string | null;
    sure: { grid: number[]; cells: [number, number, number][] } | null;
  } | null;
  mind: { kind: 'thought' | 'edit'; text: string; cells: number[]; cell: number | null } | null;
}
/** The inspector of rollouts: what is open, and what is chosen of it. */
interface Inspector {
  find: Find;
  grid: import('./group/grid.js').Grid;
  token: string;
  /** What an address calls the group; '' where none leads to it. */
  link: string;
  /** What the rollouts are filtered by. */
  finding: Finding | null;
  /** Which components judge words and pictures, as a visitor says. */
  judges: Record<string, string>;
  view: GroupView;
  push: PushValue;
}
