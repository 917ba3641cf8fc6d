/* Tocsin: page loads and errors. docs/howto/instrument-a-web-page.md */
((w, d) => {
  const s = d.currentScript, o = s?.dataset, now = Date.now
  if (!o?.service) return
  const id = crypto.getRandomValues(new Uint8Array(9)),
    key = o.key ? '?key=' + o.key : '',
    url = (o.url || new URL(s.src).origin) + '/v1/telemetry' + key,
    head = {
      source: `${o.source || o.service}-${id[8] & 63}`,
      boot: [...id].map(x => (x + 256).toString(16).slice(1)).join(''),
      resource: { service: o.service, version: o.version || '', source_kind: 'web' }
    },
    labels = o.route ? { route: o.route } : {},
    next = { measurements: 0, records: 0 }
  let views = 1, errors = 0, said = 0, times = [], logs = [], held = [], wait = 5e3, busy, timer, told

  const put = (metric, kind, unit, value) => times.push({ metric, kind, unit, value, time_ms: now(), labels }),
    batch = (name, list) => list[0] && held.push({ ...head, sequence: next[name]++, [name]: list }),
    cut = () => {
      if (held[6]) return
      if (views) put('page.views', 'counter', '1', views)
      if (errors) put('page.errors', 'counter', '1', errors)
      batch('measurements', times)
      batch('records', logs)
      views = errors = 0
      times = []
      logs = []
    },
    body = () => JSON.stringify(held.map(b => ({ ...b, sent_ms: now() }))),
    post = body => fetch(url, { method: 'POST', body, keepalive: true, credentials: 'omit' }),
    later = () => {
      if (!timer && (held[0] || times[0] || views || errors)) timer = setTimeout(send, wait)
    },
    send = async () => {
      timer = 0
      if (busy) return
      cut()
      const n = held.length
      let after = 0
      if (!n) return
      busy = 1
      try {
        const r = await post(body())
        if (r.status > 499 || r.status == 429 || r.status == 408) {
          after = r.headers.get('Retry-After') * 1e3
          throw r
        }
        const v = r.ok ? (await r.json()).verdicts : []
        held = held.filter((b, i) => i >= n || v[i]?.status == 'retry')
        wait = 5e3
      } catch { wait = Math.max(Math.min(wait * 2, 3e5), after) }
      busy = 0
      later()
    },
    leave = () => {
      cut()
      const last = held[held.length - 1]
      if (!last || last == told) return
      told = last
      const b = body()
      if (!navigator.sendBeacon?.(url, b)) post(b).catch(() => {})
    },
    failed = (e, error) => {
      errors++
      if (said++ < 20) {
        const f = e.filename
        logs.push({
          time_ms: now(), severity: 'error', event: 'page.error',
          attributes: {
            type: String(error instanceof Error ? error.name : typeof error).slice(0, 64),
            at: /^https?:/.test(f) ? `${f.split(/[?#]/)[0].slice(-200)}:${e.lineno}:${e.colno}` : '',
            path: location.pathname.slice(0, 200)
          }
        })
      }
      later()
    },
    loaded = () => setTimeout(() => {
      const t = performance.getEntriesByType('navigation')[0]
      if (t) {
        put('page.load', 'histogram', 'ms', t.loadEventEnd)
        put('page.first_byte', 'histogram', 'ms', t.responseStart)
      }
      later()
    }),
    on = (name, work) => w.addEventListener(name, work)
  on('error', e => failed(e, e.error))
  on('unhandledrejection', e => failed(e, e.reason))
  on('online', () => { clearTimeout(timer); send() })
  on('pagehide', leave)
  d.addEventListener('visibilitychange', () => { if (d.hidden) leave() })
  if (d.readyState == 'complete') loaded()
  else on('load', loaded)
})(window, document)
