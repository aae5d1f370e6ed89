//! What is said when a server of ours finds one of its counters wrong.

use std::io::Write as _;

use gateway::Violation;

/// Says on standard error that `server` has found a counter wrong. The server goes on, and so does whoever runs it.
pub(crate) fn say_defect(server: &str, violation: Violation) {
    // Whether anybody reads this does not change the run.
    let _ = writeln!(anstream::stderr(), "{}", defect(server, violation));
}

fn defect(server: &str, violation: Violation) -> String {
    format!(
        "{server}: {violation}. This is a defect of tuesday: please report it. What is measured from now on may be wrong"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_says_whose_what_and_how_often() {
        let violation = Violation { what: "a worker is released that was never taken", times: 4 };
        assert_eq!(
            defect("gateway", violation),
            "gateway: a counter is wrong: a worker is released that was never taken (4 so far). This is a defect of tuesday: \
             please report it. What is measured from now on may be wrong"
        );
    }
}
