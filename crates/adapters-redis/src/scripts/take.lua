-- Hands new entries to a consumer, a few at a time, until there are enough of them or they are large enough together: so that
-- many giant entries do not come in one answer.
-- KEYS: the stream, the highest term. ARGV: the term, group, consumer, most entries, most bytes.
-- Answers {entries, last}: entries {id, fields}; if there are none, the id that the group was handed last, or else ''.
local entries, bytes, most = {}, 0, tonumber(ARGV[4])
while #entries < most and bytes < tonumber(ARGV[5]) do
  local count = math.min(16, most - #entries)
  local got = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', count, 'STREAMS', KEYS[1], '>')
  if not got then break end
  for _, entry in ipairs(got[1][2]) do
    for _, text in ipairs(entry[2]) do bytes = bytes + #text end
    entries[#entries + 1] = entry
  end
end
if entries[1] then return {entries, ''} end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for i = 1, #group, 2 do about[group[i]] = group[i + 1] end
  if about['name'] == ARGV[2] then return {entries, about['last-delivered-id']} end
end
