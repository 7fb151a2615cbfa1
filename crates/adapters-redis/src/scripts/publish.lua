-- Tells the world a few positions in one step. The rules are in `publisher.rs`.
-- KEYS: the mark, the streams. ARGV: the channel, the first and the last position, the fact at the last one, the names of the
-- streams; then groups of entries of one position that share fields: the position, the name of the field with an entry's type,
-- 1 when entries begin with their id, how many entries there are, how many texts they share, these; for each entry its
-- stream's number, its k, its type, its data.
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
local top_position, top_k = {}, {}
for i = 1, streams do top_position[i], top_k[i] = split(tops[i]) end
local at, call = 5 + streams, redis.call
while at <= #ARGV do
  local told, entries, shared = tonumber(ARGV[at]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local fields, with_id = {}, ARGV[at + 2] == '1'
  if with_id then fields = {'eventId', ''} end
  local kind = #fields + 2
  fields[kind - 1], fields[kind] = ARGV[at + 1], ''
  for i = 1, shared do fields[kind + i] = ARGV[at + 4 + i] end
  local data = kind + shared + 2
  fields[data - 1] = 'data'
  local of = ARGV[at] .. '-'
  at = at + 5 + shared
  for _ = 1, entries do
    local stream, k = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local p = top_position[stream]
    if told > position and (p < told or (p == told and top_k[stream] < k)) then
      local id = of .. ARGV[at + 1]
      if with_id then fields[2] = id end
      fields[kind], fields[data] = ARGV[at + 2], ARGV[at + 3]
      call('XADD', KEYS[stream + 1], id, unpack(fields, 1, data))
      top_position[stream], top_k[stream], tops[stream] = told, k, id
    end
    at = at + 4
  end
end
local changes = {'position', ARGV[3], 'fact', ARGV[4]}
for i = 1, streams do
  changes[#changes + 1] = ARGV[4 + i]
  changes[#changes + 1] = tops[i]
end
redis.call('HSET', mark, unpack(changes))
redis.call('PUBLISH', ARGV[1], ARGV[3])
return {'ok', ARGV[3]}
