-- KEYS: value, lock.
local now = clock()
local value = value_of(KEYS[1])
if not value then return foreign(KEYS[1]) end
local lock = lock_of(KEYS[2])
if not lock then return foreign(KEYS[2]) end
local entry = entry_of(KEYS[1], value, now)
if not entry then return foreign(KEYS[1]) end
if is_live(lock, now) then
  return {entry, lock.t, lock.e - now, redis.call('HGET', KEYS[2], 'h') or ''}
end
-- Whoever held it last may renew it, unless it has ended.
return {entry, lock.t or 0, 0, lock.e and 1 or 0}
