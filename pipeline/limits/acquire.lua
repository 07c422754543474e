-- May this take of an asset buy a prediction now? One place in line is kept for it until it may.
-- KEYS: 1 ready   2 slots (holder -> end of lease, ms)   3 line (asset -> order)   4 blocked (until, ms)   5 window (request -> ms)
-- ARGV: 1 holder  2 asset  3 order  4 slots of the account  5 lease ms  6 requests per window  7 window ms
-- Returns {word, wait ms, place}: granted | lost (the leases must be rebuilt first) | blocked | slot | rate
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'lost', 0, 0}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  return {'granted', 0, 0}
end
redis.call('ZADD', KEYS[3], 'NX', ARGV[3], ARGV[2])
local place = redis.call('ZRANK', KEYS[3], ARGV[2]) + 1
local blocked = tonumber(redis.call('GET', KEYS[4]) or '0')
if blocked > now then
  return {'blocked', blocked - now, place}
end
if place > tonumber(ARGV[4]) - redis.call('ZCARD', KEYS[2]) then
  return {'slot', 0, place}
end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - ARGV[7])
if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[6]) then
  local oldest = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
  return {'rate', oldest[2] + ARGV[7] - now, place}
end
redis.call('ZADD', KEYS[5], now, ARGV[1])
redis.call('PEXPIRE', KEYS[5], ARGV[7])
redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[2])
return {'granted', 0, 0}
