-- May the account send one more free request (a status, a list) now?
-- KEYS: 1 blocked   2 window
-- ARGV: 1 request (a name of its own)   2 requests per window   3 window ms
-- Returns {word, wait ms}: go (and the request is counted) | blocked | rate
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local blocked = tonumber(redis.call('GET', KEYS[1]) or '0')
if blocked > now then
  return {'blocked', blocked - now}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  return {'rate', oldest[2] + ARGV[3] - now}
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {'go', 0}
