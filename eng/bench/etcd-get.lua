-- wrk: linearizable gets through etcd's JSON gateway, over 1000 keys in turn
local alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local word = a * 65536 + (b or 0) * 256 + (c or 0)
    for k = 1, 4 do
      local six = math.floor(word / 64 ^ (4 - k)) % 64
      out[#out + 1] = (k == 3 and not b or k == 4 and not c) and '=' or alphabet:sub(six + 1, six + 1)
    end
  end
  return table.concat(out)
end
local reqs, n = {}, 0
init = function()
  wrk.headers['Content-Type'] = 'application/json'
  for i = 1, 1000 do reqs[i] = wrk.format('POST', '/v3/kv/range', nil, '{"key":"' .. base64('k' .. i) .. '"}') end
end
request = function() n = n % 1000 + 1 return reqs[n] end
