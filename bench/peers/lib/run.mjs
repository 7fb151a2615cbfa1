// What the two timer peers share besides the database: their command line, their clock, what they count, what they print.

/** Milliseconds of the epoch with their fraction. */
export const now = () => performance.timeOrigin + performance.now();

/** Reads `--burst N` or `--steady RATE SECONDS`. */
export function scenario(words = process.argv.slice(2)) {
  const [flag, ...numbers] = words;
  const [first, second] = numbers.map(Number);
  if (numbers.every((word) => /^[1-9]\d*$/.test(word))) {
    if (flag === '--burst' && numbers.length === 1) return { name: 'burst', count: first, rate: null };
    if (flag === '--steady' && numbers.length === 2) return { name: 'steady', count: first * second, rate: first };
  }
  throw new Error('usage: --burst N | --steady RATE SECONDS');
}

/** The value of an environment variable that has to be there. */
export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be set`);
  return value;
}

/** Writes a line for people. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Ends the program at once: a connection was lost, so nothing can be measured nor tidied up. The next run tidies up. */
export function giveUp(error) {
  say(error.stack);
  process.exit(1);
}

/**
 * One run: when each campaign is due, and how late its transition was committed.
 *
 * Due times are whole milliseconds, which is as fine as these libraries can be asked to fire. All lie far enough ahead for
 * everything to be made before the first one.
 */
export class Run {
  #plan;
  #first;
  #lateness = [];
  #last = 0;
  #finish;
  /** Fulfilled when every transition was committed, rejected by `fail`. */
  finished;

  constructor(plan) {
    this.#plan = plan;
    this.#first = Math.ceil(now()) + 5_000 + Math.ceil(plan.count / 2);
    this.finished = new Promise((resolve, reject) => {
      this.#finish = { resolve, reject };
    });
    this.finished.catch(() => {}); // Whoever awaits it may come to it later.
  }

  /** When the campaign is due, in milliseconds of the epoch. */
  due(campaign) {
    return this.#first + (this.#plan.rate ? Math.round((campaign * 1_000) / this.#plan.rate) : 0);
  }

  /** All campaigns, in slices of `size`. */
  *slices(size) {
    for (let from = 0; from < this.#plan.count; from += size) {
      const length = Math.min(size, this.#plan.count - from);
      yield Array.from({ length }, (_, n) => from + n);
    }
  }

  /** Waits for the last transition, at most two minutes longer than the timers need. */
  async wait() {
    if (now() >= this.#first) throw new Error('the timers were not armed in time; nothing was measured');
    say(`armed; the first timers come due in ${Math.round(this.#first - now())} ms`);
    const patience = setTimeout(
      () => this.fail(new Error(`${this.#lateness.length} of ${this.#plan.count} transitions were made in time`)),
      this.due(this.#plan.count) - now() + 120_000,
    );
    await this.finished.finally(() => clearTimeout(patience));
  }

  /** To be called as soon as COMMIT has returned. */
  committed(campaign) {
    this.#last = now();
    this.#lateness.push(this.#last - this.due(campaign));
    if (this.#lateness.length === this.#plan.count) this.#finish.resolve();
  }

  /** Ends the run. */
  fail(error) {
    this.#finish.reject(error);
  }

  /** What was measured. */
  reading() {
    const sorted = Float64Array.from(this.#lateness).sort();
    const percentile = (percent) => round(sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)]);
    return {
      scenario: this.#plan.name,
      count: this.#plan.count,
      rate: round((this.#plan.count * 1_000) / (this.#last - this.#first)),
      latenessMs: { p50: percentile(50), p99: percentile(99), max: percentile(100) },
    };
  }
}

const round = (number) => Math.round(number * 100) / 100;
