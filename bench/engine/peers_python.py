"""The two worlds in SimPy and ciw: `peers_python.py simpy|ciw mm10|window-boundary REQUESTS`.

Runs within the folder that engine_bench.py makes. Each world is written as the peer's own documentation has it, with as
little besides as will do: counts and the mean sojourn. Timeouts are left out: in these worlds none is ever reached, and
they would cost the peers an event for each request. Prints one line of JSON, with the seconds of the simulation alone.
"""

import json
import math
import random
import sys
import time

# The 99th percentile of the normal distribution is at 2.3263.
SIGMA = math.log(60 / 12) / 2.326347874
MU = math.log(0.012)
# The pool's 256 and 1,024 in its queue: see bench/README.md.
CAPACITY = 1_280
LIMIT = 1_000


class FixedWindows:
    """Admits so many requests of each key in each minute of the clock."""

    def __init__(self):
        self.windows = {}

    def admits(self, key, now):
        minute = int(now // 60)
        counted, admitted = self.windows.get(key, (minute, 0))
        if counted != minute:
            admitted = 0
        if admitted >= LIMIT:
            return False
        self.windows[key] = (minute, admitted + 1)
        return True


class Counts:
    def __init__(self):
        self.arrived = self.served = self.limited = self.shed = 0
        self.sojourn = 0.0

    def document(self, seconds):
        return {"requests": self.arrived, "served": self.served, "limited": self.limited, "shed": self.shed,
                "mean_ms": self.sojourn / self.served * 1e3, "seconds": seconds}


def simpy_world(name, requests):
    import simpy

    environment, counts = simpy.Environment(), Counts()
    mm10 = name == "mm10"
    orders = simpy.Resource(environment, capacity=10 if mm10 else 4)
    windows = FixedWindows()

    def request(service):
        arrived = environment.now
        with orders.request() as place:
            yield place
            yield environment.timeout(service)
        counts.served += 1
        counts.sojourn += environment.now - arrived

    def arrive(key):
        counts.arrived += 1
        if mm10:
            environment.process(request(random.expovariate(100)))
        elif not windows.admits(key, environment.now):
            counts.limited += 1
        elif orders.count + len(orders.queue) >= CAPACITY:
            counts.shed += 1
        else:
            environment.process(request(random.lognormvariate(MU, SIGMA)))

    def everyone(rate):
        while counts.arrived < requests:
            yield environment.timeout(random.expovariate(rate))
            arrive(random.randrange(200))

    def partner():
        yield environment.timeout(58)
        while True:
            for _ in range(2_000):
                if counts.arrived >= requests:
                    return
                arrive("partner")
                yield environment.timeout(0.002)
            yield environment.timeout(56)

    environment.process(everyone(800 if mm10 else 100))
    if not mm10:
        environment.process(partner())
    began = time.perf_counter()
    environment.run()
    return counts.document(time.perf_counter() - began)


def ciw_world(name, requests):
    import ciw

    ciw.seed(902)
    windows = FixedWindows()
    if name == "mm10":
        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Exponential(rate=800)],
            service_distributions=[ciw.dists.Exponential(rate=100)],
            number_of_servers=[10],
        )
    else:
        def refuses(inside, next_ind=None, Q=None, **_):
            partner = next_ind.customer_class == "partner"
            key = "partner" if partner else random.randrange(200)
            if not windows.admits(key, Q.current_time):
                return 1.0
            return 1.0 if inside >= CAPACITY else 0.0

        class Bursts(ciw.dists.Distribution):
            """2,000 that are 2 ms apart, from 58 s of each minute on."""

            def __init__(self):
                self.sent = 0

            def sample(self, t=None, ind=None):
                self.sent += 1
                if self.sent == 1:
                    return 58.0
                return 56.002 if self.sent % 2_000 == 1 else 0.002

        service = ciw.dists.Lognormal(mean=MU, sd=SIGMA)
        network = ciw.create_network(
            arrival_distributions={"partner": [Bursts()], "everyone": [ciw.dists.Exponential(rate=100)]},
            service_distributions={"partner": [service], "everyone": [service]},
            number_of_servers=[4],
            baulking_functions={"partner": [refuses], "everyone": [refuses]},
        )
    simulation = ciw.Simulation(network)
    began = time.perf_counter()
    simulation.simulate_until_max_customers(requests, method="Arrive")
    seconds = time.perf_counter() - began
    # Its records are made while it simulates; reading them is not counted.
    counts = Counts()
    counts.arrived = simulation.nodes[0].number_of_individuals
    for record in simulation.get_all_records():
        if record.record_type == "service":
            counts.served += 1
            counts.sojourn += record.exit_date - record.arrival_date
        else:
            # It does not say why.
            counts.limited += 1
    return counts.document(seconds)


if __name__ == "__main__":
    peer, world, asked = sys.argv[1:]
    random.seed(902)
    print(json.dumps({"simpy": simpy_world, "ciw": ciw_world}[peer](world, int(asked))))
