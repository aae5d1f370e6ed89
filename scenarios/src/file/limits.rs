use std::num::NonZeroU32;
use std::rc::Rc;

use gateway::{Algorithm, RateLimit, RateLimits, Scope};

use super::diagnostic::Problem;
use super::reader::{Fields, Positive, list, nearest};

/// The table `gateway.rate_limit`.
pub(super) fn read(gateway: &mut Fields<'_>) -> RateLimits {
    let Some(mut tables) = gateway.optional_table("rate_limit") else { return RateLimits::default() };
    let [per_ip, per_key, per_route, global] =
        Scope::ALL.map(|scope| tables.optional_table(scope.name()).and_then(read_limit));
    tables.finish();
    RateLimits { per_ip, per_key, per_route, global }
}

fn read_limit(mut fields: Fields<'_>) -> Option<RateLimit> {
    let algorithm = read_algorithm(&mut fields);
    let limit: Option<NonZeroU32> = fields.required("limit");
    let window = fields.required::<Positive>("window");
    let burst_entry = fields.entry("burst");
    let burst: Option<NonZeroU32> = fields.optional("burst");
    let count_entry = fields.entry("count_rejected");
    let count_rejected: Option<bool> = fields.optional("count_rejected");
    fields.not_yet("by");
    let (context, span, path) = (fields.context(), fields.span(), fields.path().to_owned());
    fields.finish();

    let algorithm = algorithm?;
    let refuse = |span, error: gateway::RateLimitError| {
        context.push(Problem::error(span, format!("`{path}`: {error}")));
    };
    let mut settings = RateLimit::new(algorithm, limit?.get(), window?.0)
        .map_err(|error| refuse(span.clone(), error))
        .ok()?;
    if let (Some(entry), Some(burst)) = (burst_entry, burst) {
        settings =
            settings.with_burst(burst.get()).map_err(|error| refuse(entry.key_span.clone(), error)).ok()?;
    }
    if let (Some(entry), Some(count_rejected)) = (count_entry, count_rejected) {
        settings = settings
            .with_count_rejected(count_rejected)
            .map_err(|error| refuse(entry.key_span.clone(), error))
            .ok()?;
    }
    Some(settings)
}

fn read_algorithm(fields: &mut Fields<'_>) -> Option<Algorithm> {
    let name: Rc<str> = fields.required("algorithm")?;
    let algorithm = Algorithm::from_name(&name);
    if algorithm.is_none() {
        let names = Algorithm::ALL.map(Algorithm::name);
        let span = fields.entry("algorithm").map(|entry| entry.node.span.clone()).unwrap_or_default();
        let problem = Problem::error(
            span,
            format!("`{}`: there is no algorithm `{name}`", fields.path_of("algorithm")),
        );
        fields.context().push(match nearest(&name, names) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("the algorithms are {}", list(&names))),
        });
    }
    algorithm
}
