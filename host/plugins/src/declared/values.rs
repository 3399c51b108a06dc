//! Values of a component file that have several forms, such as a signal's name or number.

use super::file::{LimitValue, Need, StopSignal};
use kubernix_core::{Requirement, Role, Signal, UNLIMITED, Wait};
use nix::sys::signal;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            role: Role,
            wait: Option<Wait>,
        }

        impl<'de> Visitor<'de> for Either {
            type Value = Need;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a role, or a table with `role` and `wait`")
            }

            fn visit_str<E>(self, role: &str) -> Result<Need, E> {
                Ok(Need(Requirement::ready(role)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Need, A::Error> {
                let Whole { role, wait } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                let mut need = Requirement::ready(role);
                need.wait = wait.unwrap_or(need.wait);
                Ok(Need(need))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for StopSignal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = StopSignal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a signal's name or number")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<StopSignal, E> {
                let whole = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
                let signal: Result<signal::Signal, _> = whole.parse();
                let signal = signal.map_err(|_| E::custom(not_a_signal(name)))?;
                self.visit_i64(i64::from(signal as i32))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<StopSignal, E> {
                let signal = u32::try_from(number).ok().filter(|number| (1..=64).contains(number));
                signal.map(|number| StopSignal(Signal(number))).ok_or_else(|| E::custom(not_a_signal(number)))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<StopSignal, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for LimitValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = LimitValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0, or \"unlimited\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LimitValue, E> {
                if text == "unlimited" {
                    return Ok(LimitValue(UNLIMITED));
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<LimitValue, E> {
                let value = u64::try_from(number).map(LimitValue);
                value.map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

fn not_a_signal(given: impl fmt::Display) -> String {
    format!("`{given}` isn't a signal: give a name such as SIGTERM, or a number from 1 to 64")
}
