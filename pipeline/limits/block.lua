-- The provider said "not now": nobody of this account asks until then. A longer block that stands is kept.
-- KEYS: 1 blocked
-- ARGV: 1 wait ms
local clock = redis.call('TIME')
local until_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
if until_ms > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], string.format('%.0f', until_ms), 'PX', ARGV[1])
end
return until_ms
