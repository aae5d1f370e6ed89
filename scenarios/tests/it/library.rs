//! Every scenario that ships runs, and does what its story says.

use crate::common::{assert_held, run};
use tuesday::library;

#[test]
fn every_expectation_of_every_shipped_scenario_holds() {
    let shipped = library::all();
    assert!(!shipped.is_empty());
    for shipped in shipped {
        let result = run(shipped.text);
        assert_held(&result);
        assert!(!result.scenario.story.is_empty(), "{} has no story", shipped.name);
    }
}
