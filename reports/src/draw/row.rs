//! What charts of values along a row of places share: where a place and a value stand, the ticks, and a point with its range.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::draw::canvas::{Axis, ChartError, Ink, WIDTH};

/// How high such a chart is.
pub(super) const HEIGHT: i32 = 560;

/// Room at the left for the labels of the axis.
const LEFT: i32 = 170;
const MARGIN: i32 = 40;

/// What is drawn on.
pub(super) type Canvas<'s> = DrawingArea<SVGBackend<'s>, Shift>;

/// Places that are evenly spaced, and an axis of values.
pub(super) struct Row {
    steps: i32,
    axis: Axis,
    pub(super) right: i32,
    /// Where the axis of values begins; below are the labels of the places.
    pub(super) bottom: i32,
}

impl Row {
    /// Of so many places, with so much room for their labels below.
    pub(super) fn new(places: usize, axis: Axis, below: i32) -> Self {
        let (right, bottom) = (WIDTH.cast_signed() - MARGIN, HEIGHT - below);
        Self { steps: places.max(2) as i32, axis, right, bottom }
    }

    /// Half of what lies between two places, which is left free at both ends.
    pub(super) const fn half(&self) -> i32 {
        (self.right - LEFT) / (2 * self.steps)
    }

    pub(super) const fn x(&self, place: usize) -> i32 {
        LEFT + (self.right - LEFT) * (2 * place as i32 + 1) / (2 * self.steps)
    }

    pub(super) fn y(&self, value: f64) -> i32 {
        let share = (value - self.axis.low) / (self.axis.high - self.axis.low);
        self.bottom - (f64::from(self.bottom - MARGIN) * share.clamp(0.0, 1.0)).round() as i32
    }

    /// A band between two positions over the whole height, where something tips or changes.
    pub(super) fn draw_tipping(&self, canvas: &Canvas, from: i32, to: i32) -> Result<(), ChartError> {
        let corners = [(from, MARGIN), (to, self.bottom)];
        canvas.draw(&Rectangle::new(corners, Ink::Tipping.colour().filled()))?;
        Ok(())
    }

    /// The ticks of the axis, each with its value.
    pub(super) fn draw_ticks(&self, canvas: &Canvas, show: &dyn Fn(f64) -> String) -> Result<(), ChartError> {
        for tick in &self.axis.ticks {
            let y = self.y(*tick);
            let ink = if *tick <= self.axis.low { Ink::Axis } else { Ink::Grid };
            canvas.draw(&PathElement::new(vec![(LEFT, y), (self.right, y)], ink.line(2)))?;
            canvas.draw(&Text::new(show(*tick), (LEFT - 16, y), Ink::words(HPos::Right, VPos::Center)))?;
        }
        Ok(())
    }

    /// The median at a place with the range around it; an empty square for a time that never came.
    pub(super) fn draw_point(
        &self,
        canvas: &Canvas,
        place: usize,
        [median, least, most]: [f64; 3],
        is_never: bool,
        radius: i32,
    ) -> Result<(), ChartError> {
        let (x, middle) = (self.x(place), self.y(median));
        let (least, most) = (self.y(least), self.y(most));
        if least - most > 4 {
            canvas.draw(&PathElement::new(vec![(x, least), (x, most)], Ink::Whisker.line(3)))?;
        }
        if is_never {
            let corners = [(x - radius, middle - radius), (x + radius, middle + radius)];
            canvas.draw(&Rectangle::new(corners, Ink::Never.line(5)))?;
        } else {
            canvas.draw(&Circle::new((x, middle), radius, Ink::Point.colour().filled()))?;
        }
        Ok(())
    }
}
