use std::num::NonZeroU32;
use std::rc::Rc;

use gateway::{Algorithm, KeyedBy, RateLimit, RateLimitError, RateLimits, Scope};

use super::diagnostic::Problem;
use super::reader::{Fields, FromNode, Positive, all, list, way_out};
use super::tree::{Entry, Node};

/// The table `gateway.rate_limit`.
pub(super) fn read(gateway: &mut Fields<'_>) -> RateLimits {
    let Some(mut tables) = gateway.optional_table("rate_limit") else { return RateLimits::default() };
    let mut per_key_by = KeyedBy::default();
    let [per_ip, per_key, per_route, global] = Scope::ALL.map(|scope| {
        let mut fields = tables.optional_table(scope.name())?;
        if scope == Scope::PerKey {
            per_key_by = fields.optional::<By>("by").map(|By(by)| by).unwrap_or_default();
        }
        read_limit(fields)
    });
    tables.finish();
    RateLimits { per_ip, per_key, per_key_by, per_route, global }
}

/// What the limit per client tells clients apart by: `"key"`, or `"claim:NAME"`.
struct By(KeyedBy);

impl FromNode for By {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        match text.split_once(':') {
            None if &*text == "key" => Ok(Self(KeyedBy::ApiKey)),
            Some(("claim", name)) if !name.is_empty() => Ok(Self(KeyedBy::Claim(name.to_owned()))),
            _ => Err(format!("expected \"key\" or a claim such as \"claim:sub\", found {text:?}")),
        }
    }
}

fn read_limit(mut fields: Fields<'_>) -> Option<RateLimit> {
    let algorithm = read_algorithm(&mut fields);
    let limit: Option<NonZeroU32> = fields.required("limit");
    let window_entry = fields.entry("window");
    let window = fields.required::<Positive>("window");
    let burst_entry = fields.entry("burst");
    let burst: Option<NonZeroU32> = fields.optional("burst");
    let count_entry = fields.entry("count_rejected");
    let count_rejected: Option<bool> = fields.optional("count_rejected");
    let (context, path) = (fields.context(), fields.path().to_owned());
    fields.finish();

    let algorithm = algorithm?;
    let refuse = |entry: &Entry, error: RateLimitError| {
        let problem = Problem::error(entry.key_span.clone(), format!("`{path}`: {error}"));
        context.push(problem.help(match error {
            RateLimitError::BurstNotApplicable { .. } => {
                format!("those with a burst are {}", algorithms(Algorithm::has_burst))
            }
            RateLimitError::CountRejectedNotApplicable { .. } => {
                format!("those that can are {}", algorithms(Algorithm::is_sliding))
            }
            _ => String::new(),
        }));
    };
    // Of limit and window, only the window can still be wrong.
    let settings = RateLimit::new(algorithm, limit?.get(), window?.0);
    let mut settings = settings.map_err(|error| window_entry.map(|entry| refuse(entry, error))).ok()?;
    if let (Some(entry), Some(burst)) = (burst_entry, burst) {
        settings = settings.with_burst(burst.get()).map_err(|error| refuse(entry, error)).ok()?;
    }
    if let (Some(entry), Some(count_rejected)) = (count_entry, count_rejected) {
        settings = settings.with_count_rejected(count_rejected).map_err(|error| refuse(entry, error)).ok()?;
    }
    Some(settings)
}

fn algorithms(wanted: impl Fn(Algorithm) -> bool) -> String {
    let names: Vec<_> = Algorithm::ALL.into_iter().filter(|one| wanted(*one)).map(Algorithm::name).collect();
    list(&names)
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
        fields.context().push_with_help(problem, || way_out(&name, &names, || all("algorithm", &names)));
    }
    algorithm
}
