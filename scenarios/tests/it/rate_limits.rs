//! What rate limits let through, worked out by hand, through a whole scenario: file, clients, gateway, record.

use crate::common::{assert_held, run, run_in_spite_of_warnings};

/// A client at a limit of 1,000 a minute for the gateway, an upstream that never is the bottleneck.
fn scenario(load: &str, limit: &str, variants: &str, expect: &str) -> String {
    format!(
        r#"
        name = "Rate-limit arithmetic"
        starts = 2026-06-02T09:00:00Z
        duration = "2m"
        slo.latency = "1s"
        upstreams.orders.latency = {{ constant = "1ms" }}
        routes."/orders".upstream = "orders"

        [clients.partner]
        send = "/orders"
        {load}

        [gateway.rate_limit.per_key]
        {limit}

        {variants}

        [expect]
        hold = [{expect}]
        "#
    )
}

#[test]
fn counting_rejected_requests_locks_a_client_out_that_stays_above_the_limit() {
    // 25/s against 16.7/s. The log fills within 40 s; from then on every rejected request keeps it full.
    let limit = "algorithm = \"sliding-window-log\"\nlimit = 1000\nwindow = \"1m\"";
    let variants =
        "[variants.forgiving]\n[variants.strict]\ngateway.rate_limit.per_key.count_rejected = true";
    let expect = r#"
        "offered == 3000",
        "forgiving: admitted(per_key) == 2000",
        "strict: admitted(per_key) == 1000",
    "#;
    assert_held(&run(&scenario("rate = \"25/s\"", limit, variants, expect)));
}

#[test]
fn each_scope_counts_by_its_own() {
    // Ten keys behind two addresses on one route, each key sending ten requests at once or so: a limit of five.
    let text = r#"
        name = "Scopes"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        upstreams.api.latency = { constant = "1ms" }
        routes."/a".upstream = "api"
        routes."/b".upstream = "api"

        [clients.bots]
        identities = 10
        ips = 2
        send = { "/a" = 1, "/b" = 1 }
        rate = "100/s"

        [variants.per-key]
        gateway.rate_limit.per_key = { algorithm = "fixed-window", limit = 5, window = "10s" }
        [variants.per-ip]
        gateway.rate_limit.per_ip = { algorithm = "fixed-window", limit = 5, window = "10s" }
        [variants.per-route]
        gateway.rate_limit.per_route = { algorithm = "fixed-window", limit = 5, window = "10s" }
        [variants.global]
        gateway.rate_limit.global = { algorithm = "fixed-window", limit = 5, window = "10s" }
        [variants.none]

        [expect]
        hold = [
          "offered == 1000",
          "per-key: served == 50",
          "per-key: admitted(per_key) == 5",
          "per-ip: served == 10",
          "per-ip: admitted(per_ip) == 5",
          "per-route: served == 10",
          "per-route: served(routes.\"/a\") == 5",
          "global: served == 5",
          "none: served == 100%",
        ]
    "#;
    let result = run(text);
    assert_held(&result);
    let per_ip = &result.variants[1].runs[0].limits[0];
    assert_eq!((per_ip.scope.as_str(), per_ip.buckets, per_ip.rejected), ("per_ip", 2, 990));
    assert_eq!(per_ip.fullest.as_ref().map(|bucket| bucket.name.as_str()), Some("127.1.0.1"));
    let per_key = &result.variants[0].runs[0].limits[0];
    assert_eq!(per_key.fullest.as_ref().map(|bucket| bucket.name.as_str()), Some("bots-0"));
}

#[test]
fn clients_without_a_key_are_limited_by_address() {
    // 20 requests a second for a minute from two addresses, and 10 a second of ten keys from one: of each bucket five pass.
    let result = run(r#"
        name = "Nobody says who it is"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        routes."/".upstream = "api"
        clients.visitors = { send = "/", rate = "20/s", identities = 100, keys = 0, ips = 2 }
        clients.partners = { send = "/", rate = "10/s", identities = 10, ips = 1 }
        gateway.rate_limit.per_key = { algorithm = "fixed-window", limit = 5, window = "1m" }
        [expect]
        hold = [
            "served(clients.visitors) == 10",
            "served(clients.partners) == 50",
            "rejected(rate-limited) == 1740",
        ]
    "#);
    assert_held(&result);
    let limit = &result.variants[0].runs[0].limits[0];
    assert_eq!(limit.buckets, 12);
    let mut names: Vec<_> =
        limit.saturation.as_ref().unwrap().buckets.iter().map(|bucket| &*bucket.name).collect();
    names.sort_unstable();
    assert_eq!(names[..2], ["anonymous at 127.1.0.1", "anonymous at 127.1.0.2"]);
    assert!(names[2..].iter().all(|name| name.starts_with("partners-")), "{names:?}");
}

/// An address says nothing to a reader, so that a bucket of an address goes by its population in every form of output.
#[test]
fn a_limit_per_address_is_told_by_the_names_of_populations() {
    // Of each of the six addresses five requests pass and the others are rejected: the office has one address, the bots have
    // three, and those without a key have two.
    let result = run(r#"
        name = "Whose address"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        routes."/".upstream = "api"
        clients.office = { send = "/", rate = "10/s", identities = 10, ips = 1 }
        clients.bots = { send = "/", rate = "30/s", identities = 10, ips = 3 }
        clients.visitors = { send = "/", rate = "20/s", identities = 100, keys = 0, ips = 2 }
        gateway.rate_limit.per_ip = { algorithm = "fixed-window", limit = 5, window = "1m" }
        [variants.by-ip]
        [variants.by-key]
        gateway.rate_limit.per_key = { algorithm = "fixed-window", limit = 2, window = "1m" }
    "#);
    let of_scope = |variant: usize, scope: &str| {
        let limits = &result.variants[variant].runs[0].limits;
        let limit = limits.iter().find(|limit| limit.scope == scope).unwrap();
        let buckets = &limit.saturation.as_ref().unwrap().buckets;
        let owner = |bucket: &reports::BucketSaturation| {
            let owner = bucket.owner.as_ref();
            owner.map(|owner| (bucket.name.clone(), owner.population.clone(), owner.address))
        };
        let mut owners: Vec<_> = buckets.iter().filter_map(owner).collect();
        owners.sort();
        owners
    };
    let of = |name: &str, population: &str, address| (name.to_owned(), population.to_owned(), address);
    assert_eq!(
        of_scope(0, "per_ip"),
        [
            of("127.1.0.1", "office", None),
            of("127.1.0.2", "bots", Some(0)),
            of("127.1.0.3", "bots", Some(1)),
            of("127.1.0.4", "bots", Some(2)),
            of("127.1.0.5", "visitors", Some(0)),
            of("127.1.0.6", "visitors", Some(1)),
        ]
    );
    // A key begins with the name of its population, and nothing more is told of its bucket. A client without a key has the bucket
    // of its address.
    assert_eq!(
        of_scope(1, "per_key"),
        [
            of("anonymous at 127.1.0.5", "visitors", Some(0)),
            of("anonymous at 127.1.0.6", "visitors", Some(1)),
        ]
    );
    let page = reports::html_report(&result, "tuesday run").unwrap();
    assert!(page.contains("per_ip bots, address 2") && page.contains("per_ip office"));
    assert!(page.contains("per_key visitors, address 1"));
    let csv = reports::saturation_csv(&result);
    assert!(
        csv.contains("by-ip,1,per_ip,\"bots, address 2\",") && csv.contains("by-ip,1,per_ip,office,"),
        "{csv}"
    );
    for output in [
        page,
        csv,
        reports::markdown_summary(&result),
        reports::terminal_summary(&result, 200, reports::Legend::All),
    ] {
        assert!(!output.contains("127.1."), "{output}");
    }
}

/// Everybody with the same claim shares a bucket, which is a population's own if no other population makes that claim.
#[test]
fn a_bucket_of_a_claim_is_a_populations_own_or_nobodys() {
    let result = run(r#"
        name = "Whose claim"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        upstreams.identity = { serves = "jwks", latency = "1ms" }
        routes."/".upstream = "api"
        clients.acme = { send = "/", rate = "5/s", token = { issuer = "i", claims = { tenant = "first" } } }
        clients.one = { send = "/", rate = "5/s", token = { issuer = "i", claims = { tenant = "second" } } }
        clients.two = { send = "/", rate = "5/s", token = { issuer = "i", claims = { tenant = "second" } } }
        gateway.auth = { jwks = "identity", issuer = "i" }
        gateway.rate_limit.per_key = { algorithm = "fixed-window", limit = 5, window = "1m", by = "claim:tenant" }
    "#);
    let saturation = result.variants[0].runs[0].limits[0].saturation.as_ref().unwrap();
    let mut owners: Vec<_> = saturation
        .buckets
        .iter()
        .map(|bucket| (&*bucket.name, bucket.owner.as_ref().map(|owner| (&*owner.population, owner.address))))
        .collect();
    owners.sort_unstable();
    assert_eq!(owners, [("first", Some(("acme", None))), ("second", None)]);
}

#[test]
fn a_second_a_minute_and_an_hour_limit_one_key_at_once() {
    // Ten a second for two minutes. Of each second five pass the second's limit, 300 a minute, of which the minute's lets 200
    // through and the hour's 200 in the first minute and the 50 that are left in the second one.
    let limits = "name = \"second\"\nalgorithm = \"fixed-window\"\nlimit = 5\nwindow = \"1s\"\n\
        [[gateway.rate_limit.per_key]]\nname = \"minute\"\nalgorithm = \"fixed-window\"\nlimit = 200\nwindow = \"1m\"\n\
        [[gateway.rate_limit.per_key]]\nalgorithm = \"fixed-window\"\nlimit = 250\nwindow = \"1h\"";
    // Where a limit counts only what all let through, each counts the same 250: five a second until the minute's 200 are
    // used up after 40 s, and for ten seconds of the next minute.
    let variants = "[variants.asked]\n[variants.admitted]\ngateway.rate_limit.charge = \"admitted\"\n\
        [variants.one]\ngateway.rate_limit.per_key = { algorithm = \"fixed-window\", limit = 5, window = \"1m\" }\n\
        [variants.other-list]\n[[variants.other-list.gateway.rate_limit.per_key]]\n\
        algorithm = \"fixed-window\"\nlimit = 7\nwindow = \"1m\"";
    let expect = r#"
        "offered == 1200",
        "asked: served == 250",
        "asked: admitted(per_key.second) == 600",
        "asked: admitted(per_key[1]) == 400",
        "asked: admitted(per_key.minute) == 400",
        "asked: admitted(per_key[2]) == 250",
        "asked: admitted(per_key) == 250",
        "asked: peak_admitted(per_key.second, 1s) == 5",
        "asked: peak_admitted(per_key, 10s) == 50",
        "admitted: served == 250",
        "admitted: admitted(per_key.second) == 250",
        "admitted: admitted(per_key.minute) == 250",
        "admitted: admitted(per_key[2]) == 250",
        "admitted: admitted(per_key) == 250",
        "one: admitted(per_key) == 10",
        "other-list: admitted(per_key) == 14",
    "#;
    let text = scenario("rate = \"10/s\"", limits, variants, expect).replacen(
        "[gateway.rate_limit.per_key]",
        "[[gateway.rate_limit.per_key]]",
        1,
    );
    let result = run(&text);
    assert_held(&result);
    let told = |variant: usize| -> Vec<_> {
        let limits = result.variants[variant].runs[0].limits.iter();
        limits.map(|limit| (&*limit.scope, limit.admitted, limit.rejected, limit.joins.len())).collect()
    };
    assert_eq!(
        told(0),
        [
            ("per_key", 250, 950, 3),
            ("per_key.second", 600, 600, 0),
            ("per_key.minute", 400, 200, 0),
            ("per_key[2]", 250, 150, 0),
        ]
    );
    // Each request is rejected by the first limit that refuses it.
    assert_eq!(
        told(1),
        [
            ("per_key", 250, 950, 3),
            ("per_key.second", 250, 250, 0),
            ("per_key.minute", 250, 200, 0),
            ("per_key[2]", 250, 500, 0),
        ]
    );
    assert_eq!(told(2).iter().map(|(scope, ..)| *scope).collect::<Vec<_>>(), ["per_key"]);
    let setting = |variant: usize| {
        let settings = &result.variants[variant].settings;
        settings.iter().find(|setting| setting.key == "gateway.rate_limit.per_key").unwrap().value.clone()
    };
    assert_eq!(
        setting(0),
        "second: fixed-window, 5 per 1s; minute: fixed-window, 200 per 1m; [2]: fixed-window, 250 per 1h"
    );
    assert_eq!(setting(3), "fixed-window, 7 per 1m");
}

#[test]
fn a_leaky_bucket_lets_the_burst_of_a_minutes_end_wait_its_turn() {
    // 1,000 from 58 s and 1,000 from 60 s, 2 ms apart: 1 + 100 + ⌊1000 · 3.998 s / 60 s⌋ pass, all but the first of which wait:
    // the median 4.81 s, and none more than 100 intervals of 60 ms. Twenty of them at once, twenty intervals less.
    let limit = "algorithm = \"leaky-bucket\"\nlimit = 1000\nwindow = \"1m\"\nburst = 100";
    let load = "bursts = [{ from = \"58s\", to = \"60s\", count = 1000 }, { from = \"60s\", to = \"62s\", count = 1000 }]";
    let variants = "[variants.waits]\n[variants.some-at-once]\ngateway.rate_limit.per_key.delay = 20\n\
        [variants.nodelay]\ngateway.rate_limit.per_key.delay = 100\n\
        [variants.no-burst]\ngateway.rate_limit.per_key.burst = 0";
    let expect = r#"
        "waits: admitted(per_key) == 167",
        "waits: served == 167",
        "waits: latency(p50) >= 4.80s",
        "waits: latency(p50) <= 4.82s",
        "waits: latency(p99) >= 5.99s",
        "waits: latency(max) <= 6.001s",
        "some-at-once: served == 167",
        "some-at-once: latency(p50) >= 3.60s",
        "some-at-once: latency(p50) <= 3.62s",
        "some-at-once: latency(max) <= 4.801s",
        "nodelay: served == 167",
        "nodelay: latency(max) <= 1ms",
        "no-burst: served == 67",
        "no-burst: latency(max) <= 1ms",
    "#;
    let result = run(&scenario(load, limit, variants, expect));
    assert_held(&result);
    let waits: Vec<_> = result
        .variants
        .iter()
        .map(|variant| {
            variant.runs[0].limits[0].waits.as_ref().map(|waits| (waits.count, waits.max_us <= 6_000_000))
        })
        .collect();
    // With twenty at once, those wait that find more than twenty ahead: the first 21 do not.
    assert_eq!(waits[0], Some((166, true)));
    assert!(waits[1].is_some_and(|(count, _)| count < 166), "{waits:?}");
    assert_eq!(waits[2..], [None, None]);
}

#[test]
fn who_waits_for_its_turn_holds_nothing_and_may_leave() {
    // One a second; ten come within 10 ms, and number k (from 0) has its turn at k seconds. A client stays 4.5 s, so that five are
    // served. The only worker is free for everybody else meanwhile, who are so many that none comes twice within a second.
    let result = run(r#"
        name = "Turns"
        starts = 2026-06-02T09:00:00Z
        duration = "20s"
        slo.latency = "1500ms"
        upstreams.orders.latency = "1ms"
        routes."/orders".upstream = "orders"
        clients.partner = { send = "/orders", bursts = [{ from = "0s", to = "10ms", count = 10 }], timeout = "4500ms" }
        clients.others = { send = "/orders", rate = "10/s", identities = 100000 }
        gateway.workers = 1
        gateway.queue = 5
        gateway.rate_limit.per_key = { algorithm = "leaky-bucket", limit = 1, window = "1s", burst = 9 }
        [expect]
        hold = [
            "served(clients.partner) == 5",
            "rejected(gave-up, clients.partner) == 5",
            "served(clients.others) == 100%",
            "latency(max, clients.others) <= 3ms",
        ]
    "#);
    assert_held(&result);
    let run = &result.variants[0].runs[0];
    let causes: Vec<_> = run
        .causes
        .iter()
        .map(|cause| {
            let steps = cause.steps.iter().map(|step| (step.kind.name(), step.of.as_deref()));
            (cause.requests, steps.collect::<Vec<_>>())
        })
        .collect();
    let turn = ("rate-limit-delay", Some("per_key"));
    // Those that were served at 2, 3 and 4 s were late.
    assert_eq!(causes, [(5, vec![("client-timeout", None), turn]), (3, vec![turn])], "{causes:?}");
}

#[test]
fn a_window_of_ones_own_and_another_status() {
    // 20 at 58 s and 20 at 60 s, of which a clock's minutes let 10 and 10 through, and a minute from 58 s on 10. Clients try
    // again on 503, and not on 429: each of the others is asked three times, without a success.
    let limit = "algorithm = \"fixed-window\"\nlimit = 10\nwindow = \"1m\"";
    let load = "retry = { retries = 2, on = [\"5xx\"], backoff = \"none\" }\n\
        bursts = [{ from = \"58s\", to = \"58.1s\", count = 20 }, { from = \"60s\", to = \"60.1s\", count = 20 }]";
    let variants = "[variants.clock]\n[variants.own]\ngateway.rate_limit.per_key.window_from = \"first-request\"\n\
        [variants.own-503]\n[variants.own-503.gateway.rate_limit.per_key]\nwindow_from = \"first-request\"\nstatus = 503\n\
        [variants.day]\n[variants.day.gateway.rate_limit]\nper_key = [\n\
        { algorithm = \"fixed-window\", limit = 15, window = \"1d\" },\n\
        { algorithm = \"fixed-window\", limit = 100, window = \"1m\" }]";
    let expect = r#"
        "clock: served == 20",
        "own: served == 10",
        "own: rejected(rate-limited) == 30",
        "own-503: served == 10",
        "own-503: rejected(rate-limited) == 30",
        "day: served == 15",
        "day: admitted(per_key[0]) == 15",
    "#;
    let result = run(&scenario(load, limit, variants, expect));
    assert_held(&result);
    let limit = |variant: usize| &result.variants[variant].runs[0].limits[0];
    assert_eq!((limit(1).rejected, limit(1).status), (30, None));
    assert_eq!((limit(2).rejected, limit(2).status), (90, Some(503)));
}

/// Two keys behind two addresses each on two routes: of each combination five pass.
#[test]
fn what_is_combined_is_a_bucket_for_each_combination() {
    let result = run(r#"
        name = "Combined"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        routes."/a".upstream = "api"
        routes."/b".upstream = "api"
        clients.pair = { send = { "/a" = 1, "/b" = 1 }, rate = "20/s", identities = 2 }
        clients.visitors = { send = "/a", rate = "20/s", identities = 4, keys = 0, ips = 2 }
        [variants.key-and-route]
        gateway.rate_limit.per_route = { algorithm = "fixed-window", limit = 5, window = "1m", by = ["key", "route"] }
        [variants.key-and-ip]
        gateway.rate_limit.per_key = { algorithm = "fixed-window", limit = 5, window = "1m", by = ["ip", "key"] }
        [variants.network]
        gateway.rate_limit.per_ip = { algorithm = "fixed-window", limit = 5, window = "1m", by = "ip/30" }
        [expect]
        hold = [
            # Two keys on two routes, and two addresses on one.
            "key-and-route: served == 30",
            "key-and-route: served(clients.pair) == 20",
            "key-and-route: admitted(per_route) == 5",
            # Each of the two keys comes from one address, and those without a key are their address.
            "key-and-ip: served == 20",
            # 127.1.0.1 to 127.1.0.3 are in one network, and 127.1.0.4 in the next.
            "network: served == 10",
        ]
    "#);
    assert_held(&result);
    let told = |variant: usize| {
        let buckets = &result.variants[variant].runs[0].limits[0].saturation.as_ref().unwrap().buckets;
        let told = buckets.iter().map(|bucket| {
            (
                bucket.name.clone(),
                bucket.owner.as_ref().map(|owner| (owner.population.clone(), owner.address)),
            )
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    };
    let named = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), None)).collect::<Vec<_>>();
    assert_eq!(
        told(0),
        named(&[
            "pair-0 + /a",
            "pair-0 + /b",
            "pair-1 + /a",
            "pair-1 + /b",
            "visitors, address 0 + /a",
            "visitors, address 1 + /a",
        ])
    );
    assert_eq!(
        told(1),
        named(&[
            "pair, address 0 + pair-0",
            "pair, address 1 + pair-1",
            "visitors, address 0 + visitors, address 0",
            "visitors, address 1 + visitors, address 1",
        ])
    );
    // The first has addresses of both populations, and is nobody's own.
    assert_eq!(
        told(2),
        [("127.1.0.0/30".to_owned(), None), ("127.1.0.4/30".to_owned(), Some(("visitors".to_owned(), None))),]
    );
    assert_eq!(result.variants[0].runs[0].limits[0].buckets, 6);
    let setting = |variant: usize, key: &str| {
        let settings = &result.variants[variant].settings;
        settings.iter().find(|setting| setting.key == key).unwrap().value.clone()
    };
    assert_eq!(setting(0, "gateway.rate_limit.per_route"), "fixed-window, 5 per 1m, by key and route");
}

#[test]
fn a_cost_uses_a_limit_up_sooner_and_methods_that_are_not_counted_pass() {
    // Ten a second for a minute each. Of 100 a minute a search takes ten: ten pass. Whoever asks by OPTIONS is not counted.
    let result = run(r#"
        name = "Costs"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        routes."/search".upstream = "api"
        routes."/item".upstream = "api"
        clients.searchers = { send = "/search", rate = "10/s", method = "POST" }
        clients.readers = { send = "/item", rate = "10/s" }
        clients.browsers = { send = "/search", rate = "10/s", method = "OPTIONS" }
        [gateway.rate_limit.per_key]
        algorithm = "fixed-window"
        limit = 100
        window = "1m"
        cost = { "/search" = 10 }
        methods = ["GET", "POST"]
        [expect]
        hold = [
            "served(clients.searchers) == 10",
            "served(clients.readers) == 100",
            "served(clients.browsers) == 600",
        ]
    "#);
    assert_held(&result);
    assert_eq!(result.variants[0].runs[0].limits[0].admitted, 110);
}

#[test]
fn a_tier_has_its_own_numbers() {
    let result = run(r#"
        name = "Plans"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        upstreams.identity = { serves = "jwks", latency = "1ms" }
        routes."/".upstream = "api"
        clients.free = { send = "/", rate = "10/s", token = { issuer = "i" } }
        clients.partner = { send = "/", rate = "10/s", identities = 2, token = { issuer = "i" } }
        clients.claimed = { send = "/", rate = "10/s", token = { issuer = "i", claims = { plan = "gold" } } }
        gateway.auth = { jwks = "identity", issuer = "i" }
        [gateway.rate_limit.per_key]
        algorithm = "fixed-window"
        limit = 10
        window = "1m"
        tiers.silver = { clients = ["partner"], limit = 100 }
        tiers.gold = { claims = { plan = "gold" }, limit = 300 }
        [expect]
        hold = [
            "served(clients.free) == 10",
            "served(clients.partner) == 200",
            "served(clients.claimed) == 300",
        ]
    "#);
    assert_held(&result);
}

/// Of a tier's bucket of twenty, one in use is a twentieth, whatever the limit's own buckets hold.
#[test]
fn a_tiers_bucket_is_as_full_as_its_own_size_says() {
    // A burst that uses the bucket up; fifty seconds later it is full again, and nine requests a second apart take one each.
    let result = run(r#"
        name = "Sizes"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        routes."/".upstream = "api"
        [clients.small]
        send = "/"
        bursts = [{ from = "0s", to = "1s", count = 100 }, { from = "50s", to = "59s", count = 9 }]
        [gateway.rate_limit.per_key]
        algorithm = "token-bucket"
        limit = 60
        window = "1m"
        burst = 60
        tiers.small = { keys = ["small-0"], limit = 60, burst = 20 }
        [expect]
        hold = ["admitted(per_key) == 29"]
    "#);
    assert_held(&result);
    let saturation = result.variants[0].runs[0].limits[0].saturation.as_ref().unwrap();
    let percent = &saturation.buckets[0].percent;
    assert_eq!(
        (saturation.buckets[0].name.as_str(), percent[0], percent[50], percent[58]),
        ("small-0", 100, 5, 5)
    );
}

#[test]
fn a_limit_on_failures_lets_the_honest_pass_and_stops_who_guesses() {
    // The guesser's requests are refused by the login with 401 in the upstream's place, ten a second: ten failures a minute pass,
    // and with them what is under way. The office behind one address logs in well, and is never counted.
    let result = run(r#"
        name = "Guesses"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.login.latency = "1ms"
        upstreams.guarded.latency = "1ms"
        routes."/login".upstream = "login"
        routes."/guess".upstream = "guarded"
        clients.office = { send = "/login", rate = "50/s", identities = 200, ips = 1 }
        clients.guesser = { send = "/guess", rate = "10/s", hostile = true }
        [[faults]]
        at = "0s"
        for = "1m"
        upstreams = ["guarded"]
        error = { status = 401 }
        [gateway.rate_limit.per_ip]
        algorithm = "fixed-window"
        limit = 10
        window = "1m"
        count = [401]
        [variants.failures]
        [variants.everything]
        gateway.rate_limit.per_ip = { algorithm = "fixed-window", limit = 10, window = "1m", count = ["5xx", 401] }
        [expect]
        hold = [
            "failures: served(clients.office) == 100%",
            "failures: rejected(rate-limited, clients.guesser) == 590",
            "everything: rejected(rate-limited, clients.guesser) == 590",
        ]
    "#);
    assert_held(&result);
}

#[test]
fn a_month_begins_with_the_calendar_and_a_refill_in_steps_with_the_step() {
    // A scenario is shorter than a month, of which it is warned.
    let result = run_in_spite_of_warnings(
        r#"
        name = "Across the end of June"
        starts = 2026-06-30T23:59:00Z
        duration = "2m"
        slo.latency = "1s"
        upstreams.api.latency = "1ms"
        routes."/".upstream = "api"
        clients.one = { send = "/", rate = "10/s" }
        [variants.month]
        gateway.rate_limit.per_key = { algorithm = "fixed-window", limit = 100, window = "month" }
        [variants.stepped]
        gateway.rate_limit.per_key = { algorithm = "token-bucket", limit = 60, window = "1m", burst = 30, refill = { every = "30s" } }
        [expect]
        hold = [
            "month: served == 200",
            # The burst of 30, and thirty more at each half minute: at :30, :00 and :30.
            "stepped: served == 120",
            "stepped: peak_admitted(per_key, 4s) == 30",
        ]
    "#,
    );
    assert_held(&result);
}
