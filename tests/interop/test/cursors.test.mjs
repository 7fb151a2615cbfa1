// The watcher's own judgement: it must see what is missing and what came twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Progress } from '../lib/cursors.mjs';

const frame = (cursor, sequence) => ({ event: 'campaign.updated', cursor, data: { campaignId: 'c', sequence } });

function judge(frames) {
  const progress = new Progress();
  progress.restart('41-4294967295', { campaign: { campaignId: 'c', version: 3 } });
  for (const one of frames) progress.take(one);
  return progress.faults.map(({ what, cursor }) => `${what} ${cursor}`);
}

test('frames in order are fine, however far apart their facts are', () => {
  assert.deepEqual(judge([frame('42-0', 4), frame('42-1', 4), frame('57-0', 5), frame('1000-0', 6)]), []);
});

test('a frame that comes twice is a repeat', () => {
  assert.deepEqual(judge([frame('42-0', 4), frame('42-0', 4)]), ['repeat 42-0']);
  assert.deepEqual(judge([frame('43-0', 4), frame('42-0', 4)]), ['repeat 42-0']);
  assert.deepEqual(judge([frame('41-0', 4)]), ['repeat 41-0']);
});

test('a frame that is missing among those of its fact is a hole', () => {
  assert.deepEqual(judge([frame('42-0', 4), frame('42-2', 4)]), ['hole 42-2']);
  assert.deepEqual(judge([frame('42-1', 4)]), ['hole 42-1']);
});

test('a change that is missing among those of its campaign is a hole', () => {
  assert.deepEqual(judge([frame('42-0', 5)]), ['hole 42-0']);
  assert.deepEqual(judge([frame('42-0', 4), frame('45-0', 6)]), ['hole 45-0']);
});

test('what the service says it has told counts as seen', () => {
  const progress = new Progress();
  progress.restart('41-4294967295');
  progress.advance('50-4294967295');
  assert.equal(progress.cursor, '50-4294967295');
  progress.take(frame('50-0', 4));
  assert.equal(progress.faults.length, 1);
});
