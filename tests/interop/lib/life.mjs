// One campaign's life as its producer tells it, and the campaign as it must stand after it.
//
// The rules (what an update changes, when it is refused) are written down here a second time on purpose: this is what a
// producer may rely on.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
// Far ahead, so that no timer has a say while a test runs.
const FIRST_START = Date.UTC(2090, 0, 1);

const iso = (millis) => new Date(millis).toISOString();

/** Plays a life of at most `limit` commands for the campaign `id` (a number or a text) of `tenant`. */
export function life(random, tenant, id, limit) {
  const player = new Player(random, tenant, id);
  player.create();
  const updates = random.pick([0, 0, 1, 1, 2, 3, 5]);
  for (let n = 0; n < updates; n++) player.update();
  if (random.happens(0.05)) player.createAgain();
  if (random.happens(0.25)) {
    player.cancel();
    if (random.happens(0.2)) player.updateAfterTheEnd();
    if (random.happens(0.1)) player.cancelAgain();
  }
  player.take(limit);
  return player;
}

class Player {
  constructor(random, tenant, id) {
    this.random = random;
    this.tenant = tenant;
    this.id = id;
    /** The commands; `then` is what each makes of the campaign, or the code of its refusal. */
    this.commands = [];
    this.campaign = null;
  }

  command(type, data, then, refused = null) {
    this.commands.push({ type, data, campaign: { ...then }, refused });
    this.campaign = then;
  }

  create() {
    const { random } = this;
    const start = FIRST_START + random.below(300 * 24) * HOUR;
    const [ends, end] = this.ends(start);
    const data = { campaignId: this.id, startTime: iso(start), ...ends };
    const autoClose = !random.happens(0.2);
    if (!autoClose || random.happens(0.3)) data.autoClose = autoClose;
    const rewardsEnabled = !random.happens(0.2);
    if (!rewardsEnabled) data.rewardsEnabled = false;
    const owner = random.pick([null, 42, `owner-${random.below(50)}`]);
    if (owner !== null) data.ownerId = owner;
    const metadata = random.happens(0.1) ? {} : this.metadata();
    if (Object.keys(metadata).length > 0) data.metadata = metadata;
    if (random.happens(0.2)) data.aFieldOfTomorrow = { ignored: true };
    const ownerId = owner === null ? null : String(owner);
    this.command('campaign.created', data, {
      status: 'CREATED', version: 1, start, end, autoClose, rewardsEnabled, ownerId, metadata,
    });
  }

  update() {
    const { random, campaign } = this;
    const changes = {};
    const then = { ...campaign, version: campaign.version + 1 };
    // An update that changes nothing would be no version of its own: these data are never the same twice.
    then.metadata = changes.metadata = this.metadata();
    if (random.happens(0.2)) {
      then.start = campaign.start - random.between(1, 48) * HOUR;
      changes.startTime = iso(then.start);
    }
    if (random.happens(changes.startTime ? 0.5 : 0.2)) {
      const [ends, end] = this.ends(then.start);
      Object.assign(changes, ends);
      then.end = end;
    }
    if (random.happens(0.15)) then.autoClose = changes.autoClose = !campaign.autoClose;
    if (random.happens(0.15)) then.rewardsEnabled = changes.rewardsEnabled = !campaign.rewardsEnabled;
    const data = { campaignId: this.id, changes };
    if (random.happens(0.3)) data.reason = random.pick(['the sponsor asked for it', 'später, sagt Åsa', '予定変更']);
    if (random.happens(0.3)) data.updatedBy = random.pick([7, 'ada']);
    if (random.happens(0.1)) data.expectedVersion = campaign.version;
    if (random.happens(0.04)) {
      data.expectedVersion = campaign.version + 1000;
      this.command('campaign.updated', data, campaign, 'version_mismatch');
    } else {
      this.command('campaign.updated', data, then);
    }
  }

  cancel() {
    const { campaign } = this;
    const data = { campaignId: this.id, reason: 'called off', cancelledBy: 'ada' };
    this.command('campaign.cancelled', data, { ...campaign, status: 'CANCELLED', version: campaign.version + 1 });
  }

  cancelAgain() {
    this.command('campaign.cancelled', { campaignId: this.id }, this.campaign);
  }

  updateAfterTheEnd() {
    const changes = { metadata: this.metadata() };
    this.command('campaign.updated', { campaignId: this.id, changes }, this.campaign, 'wrong_status');
  }

  /** The same create under another event id has no effect when it says the same, and is refused when it does not. */
  createAgain() {
    const { data } = this.commands[0];
    if (this.random.happens(0.5)) {
      this.command('campaign.created', data, this.campaign);
    } else {
      const other = { ...data, metadata: { other: true } };
      this.command('campaign.created', other, this.campaign, 'conflict');
    }
  }

  take(limit) {
    this.commands.length = Math.min(this.commands.length, limit);
    this.campaign = this.commands.at(-1).campaign;
  }

  /** How many commands can stand before the create and still come to the same: all up to a second create. */
  mayOvertake() {
    const second = this.commands.findIndex(({ type }, n) => n > 0 && type === 'campaign.created');
    return (second < 0 ? this.commands.length : second) - 1;
  }

  /** One of the ways to say where a window ends, and where that is. */
  ends(start) {
    const hours = this.random.between(1, 60 * 24);
    const end = start + hours * HOUR;
    switch (this.random.below(4)) {
      case 0: return [{ durationHours: hours }, end];
      case 1: return [{ durationMinutes: hours * 60 }, end];
      case 2: return [{ endTime: iso(end), durationHours: hours }, end];
      default: return [{ endTime: iso(end) }, end];
    }
  }

  metadata() {
    const { random } = this;
    const metadata = { revision: this.commands.length, nonce: random.uuid() };
    if (random.happens(0.3)) metadata.title = random.pick(['Summer Sale', 'Größer & besser', 'キャンペーン', '🎉 "quoted" \\ / \u0001']);
    if (random.happens(0.2)) metadata.amounts = [0.1, 1e21, -5, 9007199254740991, 2.5e-7];
    if (random.happens(0.1)) metadata.nested = { a: [{ b: [null, true, {}] }], '': 'a name may be empty' };
    if (random.happens(0.01)) metadata.text = 'y'.repeat(12_000);
    return metadata;
  }

  /** The campaign as the HTTP interface must show it in the end. */
  expected() {
    const { start, end, ...rest } = this.campaign;
    const campaignId = String(this.id);
    return { tenant: this.tenant, campaignId, ...rest, startTime: iso(start), endTime: iso(end) };
  }
}
