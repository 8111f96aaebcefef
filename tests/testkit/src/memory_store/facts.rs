//! What a search asks of a message, answered from its body.

use super::{Item, all_of};
use mail::flags::{Keyword, SystemFlags};
use mail::id::{ModSeq, Uid};
use mail::message::{Outline, header};
use mail::search::{Day, Facts, Needle, Place};
use mail::text::charset::Charset;
use mail::text::transfer::{BodyText, Encoding};
use mail::text::words;
use mail::time::Timestamp;

/// A message as a criterion sees it.
pub(super) struct Seen<'a>(pub(super) Uid, pub(super) &'a Item);

impl Facts for Seen<'_> {
    fn uid(&self) -> Uid {
        self.0
    }
    fn system_flags(&self) -> SystemFlags {
        self.1.flags.system
    }
    fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.1.flags.keywords.contains(keyword)
    }
    fn size(&self) -> u64 {
        self.1.body.len()
    }
    fn received(&self) -> Timestamp {
        self.1.received
    }
    fn sent(&self) -> Option<Day> {
        let outline = Outline::decode(&self.1.outline).ok()?;
        let day = mail::message::date::parse(outline.envelope().date()?)?.local();
        Day::new(day.year, day.month, day.day)
    }
    fn modseq(&self) -> ModSeq {
        self.1.modseq
    }
    fn has_text(&self, place: &Place, needle: &Needle) -> Option<bool> {
        let all = all_of(&self.1.body).ok()?;
        let outline = Outline::decode(&self.1.outline).ok()?;
        let (head, body) = all.split_at(usize::try_from(outline.header_len()).ok()?);
        let mut text = String::new();
        let mut decoder = BodyText::new(Encoding::of(outline.root().encoding()), Charset::of(b"utf-8"));
        decoder.push(body, &mut text);
        decoder.finish(&mut text);
        let in_field = |f: header::Field<'_>| needle.occurs_in(&words::decode(f.value));
        Some(match place {
            Place::Header(name) => header::fields(head).any(|f| f.is(name) && in_field(f)),
            Place::Body => needle.occurs_in(&text),
            Place::Anywhere => {
                header::fields(head)
                    .any(|f| in_field(f) || needle.occurs_in(&String::from_utf8_lossy(f.name)))
                    || needle.occurs_in(&text)
            }
        })
    }
}
