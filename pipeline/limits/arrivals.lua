-- How many jobs have come within the window that is open now, this one included? The first opens it.
-- KEYS: 1 count
-- ARGV: 1 window ms
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return count
