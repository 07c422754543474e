-- Which of these breakers let orders through? One whose pause is over is to be probed, by exactly one, with a free call.
-- KEYS: the breakers, one for each account
-- ARGV: 1 how long a probe may take, ms
-- Returns {number of the one to probe (0: none), ms until another look is worth it, numbers of the closed ones …}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local to_probe, soonest, closed = 0, nil, {}
for number, breaker in ipairs(KEYS) do
  local told = redis.call('HMGET', breaker, 'opened_until', 'probed_until')
  local opened_until = tonumber(told[1] or '0')
  local wait = math.max(opened_until, tonumber(told[2] or '0')) - now
  if opened_until == 0 then
    closed[#closed + 1] = number
  elseif wait <= 0 and to_probe == 0 then
    to_probe = number
    redis.call('HSET', breaker, 'probed_until', string.format('%.0f', now + ARGV[1]))
  else
    soonest = math.min(soonest or wait, math.max(wait, 1))
  end
end
return {to_probe, soonest or 0, unpack(closed)}
