-- Hands new entries to a consumer, one by one, until there are enough of them or they are large enough together: so that a
-- few giant entries do not come in one answer.
-- KEYS: the stream. ARGV: group, consumer, most entries, most bytes. Answers entries: {id, fields}.
local entries, bytes = {}, 0
while #entries < tonumber(ARGV[3]) and bytes < tonumber(ARGV[4]) do
  local got = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not got then break end
  local entry = got[1][2][1]
  for _, text in ipairs(entry[2]) do bytes = bytes + #text end
  entries[#entries + 1] = entry
end
return entries
