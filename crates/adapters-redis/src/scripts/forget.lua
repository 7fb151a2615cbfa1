-- Forgets consumers that hold nothing and were not seen for a while. Looking and forgetting are one step: a consumer that
-- holds something would lose it.
-- KEYS: the stream. ARGV: group, idle ms. Answers how many.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local forgotten = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for i = 1, #consumer, 2 do about[consumer[i]] = consumer[i + 1] end
  if about['pending'] == 0 and about['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about['name'])
    forgotten = forgotten + 1
  end
end
return forgotten
