-- Removes the oldest entries of a stream, but none that a group has not dealt with. In small portions: nodes are removed
-- whole, and what is left over waits for the next time.
-- KEYS: the stream. ARGV: the lowest id to keep, or '' for a history of ARGV[2] ms; a group without which nothing is
-- removed, or ''; the most to remove. Answers how many are gone.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local function less(a, b)
  local am, as = string.match(a, '^(%d+)-(%d+)$')
  local bm, bs = string.match(b, '^(%d+)-(%d+)$')
  am, as, bm, bs = tonumber(am), tonumber(as), tonumber(bm), tonumber(bs)
  return am < bm or (am == bm and as < bs)
end
local keep = ARGV[1]
if keep == '' then
  local now = redis.call('TIME')
  local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - tonumber(ARGV[2])
  keep = string.format('%.0f-0', math.max(ms, 0))
end
local found = ARGV[3] == ''
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for i = 1, #group, 2 do about[group[i]] = group[i + 1] end
  if about['name'] == ARGV[3] then found = true end
  local delivered = about['last-delivered-id']
  if less(delivered, keep) then keep = delivered end
  local lowest = redis.call('XPENDING', KEYS[1], about['name'])[2]
  if lowest and less(lowest, keep) then keep = lowest end
end
if not found then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', keep, 'LIMIT', ARGV[4])
