-- Tells the world a few positions in one step. The rules are in `publisher.rs`.
-- KEYS: the mark, the streams. ARGV: the channel, the first and the last position, the fact at the last one, the names of the
-- streams; then for each event its stream's number, its position, its k, how many texts follow, its fields.
-- Answers {'ok', mark}; or, with nothing written, {'gap', mark} or {'moved', mark}.
local mark, streams = KEYS[1], #KEYS - 1
local first, last = tonumber(ARGV[2]), tonumber(ARGV[3])
local position = tonumber(redis.call('HGET', mark, 'position') or '0')
local tops = {}
for i = 1, streams do
  tops[i] = top_of(KEYS[i + 1])
  if tops[i] ~= (redis.call('HGET', mark, ARGV[4 + i]) or '0-0') then
    return {'moved', string.format('%.0f', position)}
  end
end
if last <= position then return {'ok', string.format('%.0f', position)} end
if first > position + 1 then return {'gap', string.format('%.0f', position)} end
local at = 5 + streams
while at <= #ARGV do
  local stream, told, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 3])
  local id = ARGV[at + 1] .. '-' .. ARGV[at + 2]
  if told > position and less(tops[stream], id) then
    redis.call('XADD', KEYS[stream + 1], id, unpack(ARGV, at + 4, at + 3 + count))
    tops[stream] = id
  end
  at = at + 4 + count
end
local changes = {'position', ARGV[3], 'fact', ARGV[4]}
for i = 1, streams do
  changes[#changes + 1] = ARGV[4 + i]
  changes[#changes + 1] = tops[i]
end
redis.call('HSET', mark, unpack(changes))
redis.call('PUBLISH', ARGV[1], ARGV[3])
return {'ok', ARGV[3]}
