-- What the scripts of the consumer begin with: once a higher term was served, a lower one is refused.
-- KEYS: the stream, the highest term. ARGV: the term, whatever the script takes.
do
  local highest, term = tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[1])
  if term < highest then return redis.error_reply('FENCED a consumer with a higher term was served') end
  if term > highest then redis.call('SET', KEYS[2], ARGV[1]) end
end

