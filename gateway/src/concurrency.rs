//! Caps on concurrency: how many requests of an address, of a client, of a route or for an upstream are under way, wait, and are
//! tried again at a time.

use std::collections::VecDeque;
use std::hash::Hash;
use std::num::NonZeroU32;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::admission::Request;
use crate::invariant::Invariants;
use crate::pool::{Pool, PoolConfig};
use crate::route::{RouteId, UpstreamId};

/// How many requests may be under way, wait for that, and be tried again at a time.
///
/// The default caps nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConcurrencyCap {
    /// Requests that may hold or wait for a worker of the gateway; `None` for any number.
    pub max_in_flight: Option<NonZeroU32>,
    /// Requests beyond those that may wait until one of them ends, first in, first out. 0 turns them away at once. Of no effect
    /// without `max_in_flight`.
    pub max_pending: u32,
    /// Requests that may wait for their next attempt or make it; `None` for any number. A failed attempt beyond is answered as it is.
    pub max_retries: Option<u32>,
}

/// A cap for each address or for each client on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerCap {
    /// What each may have.
    pub cap: ConcurrencyCap,
    /// The status of the answer to whoever has too many, 400 to 599.
    pub status: u16,
}

impl CallerCap {
    /// What a cap answers if nothing else is said: as nginx's `limit_conn_status`, and as the other caps of this gateway.
    pub const SERVICE_UNAVAILABLE: u16 = 503;
}

/// The caps of a gateway on its callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerCaps {
    /// For each address.
    pub per_ip: Option<CallerCap>,
    /// For each client: its API key, or its address where it sends none.
    pub per_key: Option<CallerCap>,
}

/// What a cap holds for, in the order in which a request meets the caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapScope {
    /// Each source address on its own.
    PerIp,
    /// Each client on its own.
    PerKey,
    /// Each route on its own.
    PerRoute,
    /// Each upstream on its own: the bulkhead.
    PerUpstream,
}

impl CapScope {
    /// Every scope, in the order in which a request meets them.
    pub const ALL: [Self; 4] = [Self::PerIp, Self::PerKey, Self::PerRoute, Self::PerUpstream];

    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerIp => "per_ip",
            Self::PerKey => "per_key",
            Self::PerRoute => "per_route",
            Self::PerUpstream => "per_upstream",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The requests of one address, client, route or upstream that are under way, and those that wait for that.
#[derive(Debug)]
pub(crate) struct Gate<T, P> {
    cap: ConcurrencyCap,
    pool: Pool<T, P>,
    retries: u32,
}

impl<T: Copy + Eq + Hash, P> Gate<T, P> {
    pub(crate) fn new(cap: ConcurrencyCap, invariants: &Invariants) -> Self {
        Self { cap, pool: Pool::new(cap.pool()).with_invariants(invariants.clone()), retries: 0 }
    }

    fn reconfigure(&mut self, cap: ConcurrencyCap) {
        self.cap = cap;
        self.pool.reconfigure(cap.pool());
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.pool.in_flight()
    }

    pub(crate) fn pending(&self) -> u32 {
        self.pool.queued()
    }

    pub(crate) const fn retries(&self) -> u32 {
        self.retries
    }

    #[inline]
    fn has_room_for_retry(&self) -> bool {
        self.cap.max_retries.is_none_or(|most| self.retries < most)
    }

    fn is_idle(&self) -> bool {
        (self.pool.in_flight(), self.pool.queued(), self.retries) == (0, 0, 0)
    }
}

impl ConcurrencyCap {
    const fn pool(&self) -> PoolConfig {
        PoolConfig { workers: self.max_in_flight, queue: Some(self.max_pending), queue_timeout: None }
    }
}

/// The gates of all callers that have requests here, for each on its own.
#[derive(Debug)]
struct CallerGates<T, P> {
    config: CallerCap,
    /// By the number that limits count by as well, so that nobody outside can make numbers of clients collide on purpose; those of
    /// addresses are as many as somebody has addresses, and one goes when its last request has ended.
    gates: HashMap<u64, Gate<T, P>, FixedState>,
}

/// Which gates a request holds: handed back when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GatePass {
    /// A bit for each scope whose gate it has passed.
    held: u8,
    is_retried: bool,
    /// The numbers of address and client, where there are caps for each.
    callers: [u64; 2],
}

/// One gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GateId {
    scope: CapScope,
    number: u64,
}

/// How far a request has come through the gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// Through all of them.
    All,
    /// It waits at one of them.
    Waits,
    /// It is turned away at one of them, and has given the others back.
    Full {
        /// Whose.
        scope: CapScope,
        /// What is answered.
        status: u16,
    },
}

/// All gates in front of the workers.
///
/// The calling contract, for a ticket unique among the requests present: [`Gates::enter`] on arrival. Whoever is through all is to
/// [`Gates::leave`]. Whoever waits is told by [`Gates::poll_promoted`], and goes on with [`Gates::enter`] as one who waited, or leaves
/// before by [`Gates::on_left`].
#[derive(Debug)]
pub(crate) struct Gates<T, P> {
    /// By upstream: there is always one, which counts.
    pub(crate) upstreams: Vec<Gate<T, P>>,
    /// By route.
    routes: Vec<Option<Gate<T, P>>>,
    /// By address and by client.
    callers: [Option<CallerGates<T, P>>; 2],
    /// At which gate each waits.
    waiting: HashMap<T, GateId, FixedState>,
    /// Gates that may have room for one who waits there.
    freed: VecDeque<GateId>,
    invariants: Invariants,
}

/// Where a request goes, by which its gates are found.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) route: RouteId,
    pub(crate) upstream: UpstreamId,
}

/// The caps of a whole gateway.
pub(crate) struct Caps {
    pub(crate) callers: CallerCaps,
    pub(crate) routes: Vec<Option<ConcurrencyCap>>,
    pub(crate) upstreams: Vec<ConcurrencyCap>,
}

impl<T: Copy + Eq + Hash, P> Gates<T, P> {
    pub(crate) fn new(caps: &Caps, invariants: &Invariants) -> Self {
        let gate = |cap: &ConcurrencyCap| Gate::new(*cap, invariants);
        Self {
            upstreams: caps.upstreams.iter().map(gate).collect(),
            routes: caps.routes.iter().map(|cap| cap.as_ref().map(gate)).collect(),
            callers: caps.callers.each().map(|cap| cap.map(CallerGates::new)),
            waiting: HashMap::default(),
            freed: VecDeque::new(),
            invariants: invariants.clone(),
        }
    }

    /// Goes by these caps from now on. Whoever holds or waits at a gate goes on doing so; those for whom there is room now are told
    /// by [`Gates::poll_promoted`].
    pub(crate) fn reconfigure(&mut self, caps: &Caps) {
        for (gate, cap) in self.upstreams.iter_mut().zip(&caps.upstreams) {
            gate.reconfigure(*cap);
        }
        for (gate, cap) in self.routes.iter_mut().zip(&caps.routes) {
            match (gate, cap) {
                // Requests may hold it, so that one without a cap stays too.
                (Some(gate), cap) => gate.reconfigure(cap.unwrap_or_default()),
                (gate @ None, cap) => *gate = cap.map(|cap| Gate::new(cap, &self.invariants)),
            }
        }
        for (callers, config) in self.callers.iter_mut().zip(caps.callers.each()) {
            match (callers, config) {
                (Some(callers), config) => callers.reconfigure(config),
                (callers @ None, config) => *callers = config.map(CallerGates::new),
            }
        }
        // In an order of its own, for tables are in none.
        let mut waiting_at: Vec<GateId> = self.waiting.values().copied().collect();
        waiting_at.sort_unstable_by_key(|gate| (gate.scope, gate.number));
        waiting_at.dedup();
        self.freed = waiting_at.into();
    }

    /// What a request has to hold: nothing yet.
    #[inline]
    pub(crate) fn pass(&self, request: &Request) -> GatePass {
        if self.callers.iter().all(Option::is_none) {
            return GatePass::default();
        }
        GatePass { callers: [request.peer.bucket(), request.client.bucket()], ..GatePass::default() }
    }

    /// Takes a request through its gates, as far as it comes. `payload` is kept while it waits. One who waited before is not turned
    /// away any more: it may wait once at each gate.
    #[inline]
    pub(crate) fn enter(
        &mut self,
        ticket: T,
        way: Way,
        pass: &mut GatePass,
        has_waited: bool,
        payload: impl FnOnce(GatePass) -> P,
    ) -> Entered {
        for scope in CapScope::ALL {
            if pass.held & scope.bit() != 0 {
                continue;
            }
            let id = pass.gate(way, scope);
            let Some(gate) = self.gate_to_enter(id) else { continue };
            if gate.pool.try_take() {
                pass.held |= scope.bit();
                continue;
            }
            if !has_waited && gate.pool.is_full() {
                self.leave(way, pass);
                return Entered::Full { scope, status: self.status(scope) };
            }
            gate.pool.wait(ticket, payload(*pass));
            self.waiting.insert(ticket, id);
            return Entered::Waits;
        }
        Entered::All
    }

    /// A request gives back all that it holds.
    #[inline]
    pub(crate) fn leave(&mut self, way: Way, pass: &mut GatePass) {
        self.end_retry(way, pass);
        // The innermost first: one who waits there has come further than one who waits at an outer gate.
        for scope in CapScope::ALL.into_iter().rev() {
            if pass.held & scope.bit() == 0 {
                continue;
            }
            let id = pass.gate(way, scope);
            let Some(gate) = self.gate(id) else {
                self.invariants.hold(false, "a request leaves a gate that there is not");
                continue;
            };
            if gate.pool.in_flight() == 0 {
                self.invariants.hold(false, "a place under a cap is given back that nobody holds");
                continue;
            }
            gate.pool.release();
            if gate.pool.queued() > 0 {
                self.freed.push_back(id);
            } else {
                self.forget_idle(id);
            }
        }
        pass.held = 0;
    }

    /// The next request that waited and need not any longer, with what was kept for it. It holds the gate at which it waited.
    #[inline]
    pub(crate) fn poll_promoted(&mut self, pass: impl Fn(&mut P) -> &mut GatePass) -> Option<(T, P)> {
        while let Some(&id) = self.freed.front() {
            if let Some((ticket, mut payload)) = self.gate(id).and_then(|gate| gate.pool.start_next()) {
                self.waiting.remove(&ticket);
                pass(&mut payload).held |= id.scope.bit();
                return Some((ticket, payload));
            }
            self.freed.pop_front();
        }
        None
    }

    /// Takes a request out that waits at a gate, with what was kept for it: it still holds the gates before.
    pub(crate) fn on_left(&mut self, ticket: T) -> Option<P> {
        let id = self.waiting.remove(&ticket)?;
        let left = self.gate(id)?.pool.on_left_queue(ticket);
        self.forget_idle(id);
        left
    }

    /// Whether one more retry may be under way.
    #[inline]
    pub(crate) fn has_room_for_retry(&mut self, way: Way, pass: &GatePass) -> bool {
        CapScope::ALL.into_iter().filter(|scope| pass.held & scope.bit() != 0).all(|scope| {
            let gate = self.gate(pass.gate(way, scope));
            gate.is_none_or(|gate| gate.has_room_for_retry())
        })
    }

    /// A retry begins with the wait before it.
    pub(crate) fn begin_retry(&mut self, way: Way, pass: &mut GatePass) {
        for scope in CapScope::ALL.into_iter().filter(|scope| pass.held & scope.bit() != 0) {
            if let Some(gate) = self.gate(pass.gate(way, scope)) {
                gate.retries += 1;
            }
        }
        pass.is_retried = true;
    }

    /// A retry is over, if one was under way.
    #[inline]
    pub(crate) fn end_retry(&mut self, way: Way, pass: &mut GatePass) {
        if !std::mem::take(&mut pass.is_retried) {
            return;
        }
        let invariants = self.invariants.clone();
        for scope in CapScope::ALL.into_iter().filter(|scope| pass.held & scope.bit() != 0) {
            if let Some(gate) = self.gate(pass.gate(way, scope)) {
                invariants.decrement(&mut gate.retries, "a retry ends at a gate that was not under way");
            }
        }
    }

    /// How many wait at any gate.
    pub(crate) fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// Whether nobody is at any gate, and nothing is remembered of anybody.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.upstreams.iter().all(Gate::is_idle)
            && self.routes.iter().flatten().all(Gate::is_idle)
            && self.callers.iter().flatten().all(|callers| callers.gates.is_empty())
    }

    #[inline]
    fn gate(&mut self, id: GateId) -> Option<&mut Gate<T, P>> {
        match id.scope {
            CapScope::PerIp | CapScope::PerKey => {
                self.callers[id.scope as usize].as_mut()?.gates.get_mut(&id.number)
            }
            CapScope::PerRoute => self.routes.get_mut(id.number as usize)?.as_mut(),
            CapScope::PerUpstream => self.upstreams.get_mut(id.number as usize),
        }
    }

    /// A gate, which begins with this request where it is the first of its caller.
    #[inline]
    fn gate_to_enter(&mut self, id: GateId) -> Option<&mut Gate<T, P>> {
        match id.scope {
            CapScope::PerIp | CapScope::PerKey => {
                let CallerGates { config, gates } = self.callers[id.scope as usize].as_mut()?;
                Some(gates.entry(id.number).or_insert_with(|| Gate::new(config.cap, &self.invariants)))
            }
            CapScope::PerRoute | CapScope::PerUpstream => self.gate(id),
        }
    }

    /// A caller without requests is not remembered.
    fn forget_idle(&mut self, id: GateId) {
        let (CapScope::PerIp | CapScope::PerKey) = id.scope else { return };
        if self.gate(id).is_some_and(|gate| gate.is_idle())
            && let Some(callers) = &mut self.callers[id.scope as usize]
        {
            callers.gates.remove(&id.number);
        }
    }

    fn status(&self, scope: CapScope) -> u16 {
        match scope {
            CapScope::PerIp | CapScope::PerKey => {
                let callers = self.callers[scope as usize].as_ref();
                callers.map_or(CallerCap::SERVICE_UNAVAILABLE, |callers| callers.config.status)
            }
            CapScope::PerRoute | CapScope::PerUpstream => CallerCap::SERVICE_UNAVAILABLE,
        }
    }
}

impl<T: Copy + Eq + Hash, P> CallerGates<T, P> {
    fn new(config: CallerCap) -> Self {
        Self { config, gates: HashMap::default() }
    }

    /// `None` caps nobody any more.
    fn reconfigure(&mut self, config: Option<CallerCap>) {
        let status = self.config.status;
        self.config = config.unwrap_or(CallerCap { cap: ConcurrencyCap::default(), status });
        for gate in self.gates.values_mut() {
            gate.reconfigure(self.config.cap);
        }
    }
}

impl CallerCaps {
    /// By the place of their scopes in [`CapScope::ALL`].
    const fn each(&self) -> [Option<CallerCap>; 2] {
        [self.per_ip, self.per_key]
    }
}

impl GatePass {
    #[inline]
    fn gate(&self, way: Way, scope: CapScope) -> GateId {
        let number = match scope {
            CapScope::PerIp | CapScope::PerKey => self.callers[scope as usize],
            CapScope::PerRoute => way.route.0.into(),
            CapScope::PerUpstream => way.upstream.0.into(),
        };
        GateId { scope, number }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::identity::{Client, KeySecret, Peer};
    use crate::method::Method;

    /// A request of the model: the numbers of its gates by scope, and how many of them it holds.
    #[derive(Clone)]
    struct Known {
        ticket: u32,
        gates: [u64; 4],
        passed: usize,
    }

    /// The obvious way: two lists, which are gone through again and again.
    struct Model {
        caps: [ConcurrencyCap; 4],
        inside: Vec<Known>,
        waiting: Vec<Known>,
    }

    impl Model {
        fn holders(&self, scope: usize, number: u64) -> usize {
            let all = self.inside.iter().chain(&self.waiting);
            all.filter(|known| known.passed > scope && known.gates[scope] == number).count()
        }

        fn has_room(&self, scope: usize, number: u64) -> bool {
            let most = self.caps[scope].max_in_flight;
            most.is_none_or(|most| self.holders(scope, number) < most.get() as usize)
        }

        fn waits_at(&self, scope: usize, number: u64) -> usize {
            let waits = |known: &&Known| known.passed == scope && known.gates[scope] == number;
            self.waiting.iter().filter(waits).count()
        }

        /// Takes one on, to the end of the waiting or inside; `None` where it is turned away.
        fn enter(&mut self, mut known: Known, has_waited: bool) -> Option<bool> {
            while known.passed < 4 {
                let (scope, number) = (known.passed, known.gates[known.passed]);
                if !self.has_room(scope, number) {
                    let is_full = self.waits_at(scope, number) >= self.caps[scope].max_pending as usize;
                    if is_full && !has_waited {
                        return None;
                    }
                    self.waiting.push(known);
                    return Some(false);
                }
                known.passed += 1;
            }
            self.inside.push(known);
            Some(true)
        }

        /// Those who come inside now, in turn: of gates with room the innermost first, and there the one who came first.
        fn promote(&mut self) -> Vec<u32> {
            let mut came = Vec::new();
            'again: loop {
                for scope in (0..4).rev() {
                    let next = self
                        .waiting
                        .iter()
                        .position(|known| known.passed == scope && self.has_room(scope, known.gates[scope]));
                    if let Some(next) = next {
                        let known = self.waiting.remove(next);
                        let ticket = known.ticket;
                        if self.enter(known, true) == Some(true) {
                            came.push(ticket);
                        }
                        continue 'again;
                    }
                }
                return came;
            }
        }
    }

    fn cap() -> impl Strategy<Value = ConcurrencyCap> {
        (prop::option::of(1_u32..4), 0_u32..4).prop_map(|(most, max_pending)| ConcurrencyCap {
            max_in_flight: most.and_then(NonZeroU32::new),
            max_pending,
            max_retries: None,
        })
    }

    proptest! {
        #[test]
        fn agrees_with_two_lists(
            caps in prop::array::uniform4(cap()),
            steps in prop::collection::vec(
                (0_u8..5, any::<prop::sample::Index>(), 0_u8..2, 0_u8..3, 0_u32..3), 0..200,
            ),
        ) {
            let [per_ip, per_key, per_route, per_upstream] = caps;
            let callers = |cap| Some(CallerCap { cap, status: 429 });
            let configured = Caps {
                callers: CallerCaps { per_ip: callers(per_ip), per_key: callers(per_key) },
                routes: vec![Some(per_route); 3],
                upstreams: vec![per_upstream; 2],
            };
            let mut gates = Gates::<u32, (u32, GatePass)>::new(&configured, &Invariants::Panic);
            let mut model = Model { caps, inside: Vec::new(), waiting: Vec::new() };
            let mut passes = HashMap::<u32, GatePass>::new();
            // Two routes lead to the first upstream, and one to the other.
            let way = |route: u32| Way { route: RouteId(route), upstream: UpstreamId(route / 2) };
            let mut routes = HashMap::<u32, u32>::new();
            for (ticket, (step, pick, address, client, route)) in (0_u32..).zip(steps) {
                match step {
                    0..=2 => {
                        let peer = Peer::from(IpAddr::from([127, 0, 0, address]));
                        let client = Client::from_key(KeySecret([0; 16]), &[client]);
                        let route_id = Some(RouteId(route));
                        let method = Method::Get;
                        let request =
                            Request { peer, client, route: route_id, method, idempotent: true, draw: 0 };
                        let mut pass = gates.pass(&request);
                        let entered = gates.enter(ticket, way(route), &mut pass, false, |pass| (ticket, pass));
                        let numbers = [peer.bucket(), client.bucket(), route.into(), (route / 2).into()];
                        let expected = model.enter(Known { ticket, gates: numbers, passed: 0 }, false);
                        let told = match entered {
                            Entered::All => Some(true),
                            Entered::Waits => Some(false),
                            Entered::Full { .. } => None,
                        };
                        prop_assert_eq!(told, expected);
                        routes.insert(ticket, route);
                        if entered == Entered::All {
                            passes.insert(ticket, pass);
                        }
                    }
                    3 if !model.inside.is_empty() => {
                        let known = model.inside.remove(pick.index(model.inside.len()));
                        let mut pass = passes.remove(&known.ticket).unwrap();
                        gates.leave(way(routes[&known.ticket]), &mut pass);
                    }
                    4 if !model.waiting.is_empty() => {
                        let known = model.waiting.remove(pick.index(model.waiting.len()));
                        let (ticket, mut pass) = gates.on_left(known.ticket).unwrap();
                        prop_assert_eq!(ticket, known.ticket);
                        gates.leave(way(routes[&ticket]), &mut pass);
                    }
                    _ => {}
                }
                let mut came = Vec::new();
                while let Some((ticket, (_, mut pass))) = gates.poll_promoted(|(_, pass)| pass) {
                    let way = way(routes[&ticket]);
                    if gates.enter(ticket, way, &mut pass, true, |pass| (ticket, pass)) == Entered::All {
                        passes.insert(ticket, pass);
                        came.push(ticket);
                    }
                }
                prop_assert_eq!(came, model.promote());
                prop_assert_eq!(gates.waiting() as usize, model.waiting.len());
                for (upstream, gate) in gates.upstreams.iter().enumerate() {
                    let (holders, waits) =
                        (model.holders(3, upstream as u64), model.waits_at(3, upstream as u64));
                    prop_assert_eq!((gate.in_flight() as usize, gate.pending() as usize), (holders, waits));
                }
                if model.inside.is_empty() {
                    prop_assert!(gates.is_idle(), "nobody waits where nobody is inside");
                }
            }
        }
    }
}
