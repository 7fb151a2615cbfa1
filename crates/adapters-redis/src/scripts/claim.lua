-- Hands entries to a consumer that are pending for a while, lowest id first.
-- XAUTOCLAIM would not tell how often an entry was handed out, and could bring many giant ones in one answer.
-- KEYS: the stream, the highest term. ARGV: the term, group, consumer, idle ms, most entries, most bytes, first id, owner
-- ('' for anybody).
-- Answers {entries, lost, last}: entries {id, fields, deliveries}; ids of which the entry is gone, which are pending no
-- longer; the id to go on after, or '' if nothing is left.
local question = {KEYS[1], ARGV[2], 'IDLE', ARGV[4], ARGV[7], '+', ARGV[5]}
if ARGV[8] ~= '' then question[#question + 1] = ARGV[8] end
local pending = redis.call('XPENDING', unpack(question))
local entries, lost, bytes, last = {}, {}, 0, ''
for place, row in ipairs(pending) do
  local got = redis.call('XCLAIM', KEYS[1], ARGV[2], ARGV[3], ARGV[4], row[1])
  if got[1] then
    for _, text in ipairs(got[1][2]) do bytes = bytes + #text end
    entries[#entries + 1] = {row[1], got[1][2], row[4] + 1}
  else
    lost[#lost + 1] = row[1]
  end
  if bytes >= tonumber(ARGV[6]) or place == tonumber(ARGV[5]) then
    last = row[1]
    break
  end
end
return {entries, lost, last}
