//! What rate limits let through, worked out by hand, through a whole scenario: file, clients, gateway, record.

use crate::common::{assert_held, run};

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
