-- KEYS: a value or a lock, as a list finds it. ARGV: which of them.
local now = clock()
if ARGV[1] == 'value' then
  local value = value_of(KEYS[1])
  if not value or not value.r then return false end
  if not is_there(value, now) then return {value.r, 0, 0, 0} end
  return {value.r, 1, age(value, now), redis.call('HSTRLEN', KEYS[1], 'v')}
end
local lock = lock_of(KEYS[1])
if not lock or not is_live(lock, now) then return false end
local of = redis.call('HMGET', KEYS[1], 'k', 'h')
if not of[1] then return false end
return {lock.t, lock.e - now, of[1], of[2] or ''}
