-- Give a slot back, and name the waiters that now have one: as many as there are free slots, first in line first.
-- KEYS: 1 slots   2 line   3 blocked
-- ARGV: 1 holder ('' to release nothing)   2 slots of the account
-- Returns the assets to wake.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[1] ~= '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local free = tonumber(ARGV[2]) - redis.call('ZCARD', KEYS[1])
if free <= 0 or tonumber(redis.call('GET', KEYS[3]) or '0') > now then
  return {}
end
return redis.call('ZRANGE', KEYS[2], 0, free - 1)
