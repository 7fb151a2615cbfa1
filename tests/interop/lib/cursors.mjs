// What a client has seen of a channel, and what it missed or got twice.
//
// A cursor is `<position>-<k>`: the place of a fact, and the frame's number among those of the fact. Frames of one channel
// come in ascending order. Facts of others leave gaps between positions, so a hole shows in two other ways: a fact's frames
// are numbered from 0 without a gap, and a campaign's `sequence` goes up by one with every change.

/** Reads a cursor into two numbers that can be compared. */
function parts(cursor) {
  const match = /^(\d+)-(\d+)$/.exec(cursor ?? '');
  if (!match) throw new Error(`no cursor: ${cursor}`);
  return [BigInt(match[1]), BigInt(match[2])];
}

function compare([position, k], [otherPosition, otherK]) {
  if (position !== otherPosition) return position < otherPosition ? -1 : 1;
  return k === otherK ? 0 : k < otherK ? -1 : 1;
}

/** The progress of one channel. */
export class Progress {
  constructor() {
    /** The cursor to resume from. */
    this.cursor = null;
    this.seen = null;
    this.sequences = new Map();
    this.faults = [];
  }

  /** Begins anew with a snapshot: what was before does not count. */
  restart(cursor, snapshot) {
    this.cursor = cursor;
    this.seen = parts(cursor);
    this.sequences.clear();
    const campaign = snapshot?.campaign;
    if (campaign) this.sequences.set(campaign.campaignId, campaign.version);
  }

  /** Goes on from a cursor that the service told without a frame. */
  advance(cursor) {
    const at = parts(cursor);
    if (this.seen && compare(at, this.seen) < 0) return;
    this.cursor = cursor;
    this.seen = at;
  }

  /** Takes a frame in; what is wrong with its place is in `faults`. */
  take(frame) {
    const at = parts(frame.cursor);
    const [position, k] = at;
    const fault = (what, detail) => this.faults.push({ what, cursor: frame.cursor, event: frame.event, ...detail });
    if (this.seen && compare(at, this.seen) <= 0) {
      fault('repeat', { after: this.cursor });
      return;
    }
    const expected = this.seen && this.seen[0] === position ? this.seen[1] + 1n : 0n;
    if (k !== expected) fault('hole', { after: this.cursor });
    this.cursor = frame.cursor;
    this.seen = at;
    this.count(frame, fault);
  }

  count({ data }, fault) {
    const { campaignId, sequence } = data ?? {};
    if (campaignId === undefined || sequence === undefined) return;
    const before = this.sequences.get(campaignId);
    if (before !== undefined && sequence !== before && sequence !== before + 1) fault('hole', { campaignId, before, sequence });
    this.sequences.set(campaignId, sequence);
  }
}
