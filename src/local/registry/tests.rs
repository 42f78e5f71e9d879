#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;

use rusqlite::types::Value;

use super::list::plan;
use super::*;

fn registry() -> (tempfile::TempDir, Registry) {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::open(&directory.path().join("registry.sqlite")).unwrap();
    (directory, registry)
}

fn read<T>(registry: &Registry, work: impl FnOnce(&Session) -> rusqlite::Result<T>) -> T {
    registry.read(work).unwrap()
}

fn write<T>(registry: &Registry, work: impl FnOnce(&Session) -> rusqlite::Result<T>) -> T {
    registry.write(work).unwrap()
}

fn image(id: &str, owner: &str, visibility: Visibility) -> Image {
    let mut image = Image::new(id.to_owned());
    image.owner = Some(owner.to_owned());
    image.visibility = visibility;
    image
}

fn member(image_id: &str, member: &str, status: &str) -> Member {
    Member {
        image_id: image_id.into(),
        member: member.into(),
        status: status.into(),
        can_share: false,
        created_at: now(),
        updated_at: now(),
    }
}

fn caller(project: &str) -> Caller {
    Caller { project_id: Some(project.to_owned()), ..Caller::default() }
}

fn listing(viewer: Viewer) -> Listing {
    Listing {
        viewer,
        wanted: Wanted::Usual,
        shared_with: SharedWith::Status("accepted".into()),
        gone: false,
        conditions: Vec::new(),
        sort: vec![(SortKey::CreatedAt, Direction::Descending), (SortKey::Id, Direction::Descending)],
        marker: None,
        limit: 1000,
    }
}

fn project(name: &str) -> Viewer {
    Viewer { admin: false, project: Some(name.to_owned()) }
}

fn ids(registry: &Registry, listing: &Listing) -> Vec<String> {
    read(registry, |session| session.list(listing)).into_iter().map(|image| image.id).collect()
}

fn sorted(registry: &Registry, listing: &Listing) -> Vec<String> {
    let mut ids = ids(registry, listing);
    ids.sort();
    ids
}

#[test]
fn an_image_is_kept_as_it_was_given() {
    let (_directory, registry) = registry();
    let mut given = image("i", "p", Visibility::Community);
    given.name = Some("é".into());
    given.size = Some(u64::from(u32::MAX) * 10);
    given.min_disk = 3;
    given.protected = true;
    given.properties = [("a", "1"), ("b", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    given.tags = ["x", "y"].map(str::to_owned).into();
    write(&registry, |session| session.add(&given));
    assert_eq!(read(&registry, |session| session.image("i")), Some(given.clone()));

    given.status = Status::Saving;
    given.properties.remove("a");
    given.properties.insert("b".into(), "2".into());
    given.tags.remove("x");
    let before = given.updated_at;
    write(&registry, |session| session.save(&mut given));
    assert!(given.updated_at > before);
    assert_eq!(read(&registry, |session| session.image("i")), Some(given));
}

#[test]
fn what_fails_changes_nothing() {
    let (_directory, registry) = registry();
    let outcome: std::result::Result<(), rusqlite::Error> = registry.write(|session| {
        session.add(&image("i", "p", Visibility::Private))?;
        Err(rusqlite::Error::QueryReturnedNoRows)
    });
    assert!(outcome.is_err());
    assert_eq!(read(&registry, |session| session.image("i")), None);
    assert!(!read(&registry, |session| session.knows("i")));
}

#[test]
fn a_deleted_image_is_gone_but_its_id_is_not_given_again() {
    let (_directory, registry) = registry();
    let mut deleted = image("i", "p", Visibility::Public);
    deleted.tags.insert("t".into());
    write(&registry, |session| {
        session.add(&deleted)?;
        session.put_member(&member("i", "m", "pending"))?;
        session.delete(&deleted)
    });
    assert_eq!(read(&registry, |session| session.image("i")), None);
    assert_eq!(read(&registry, |session| session.members("i")), []);
    assert!(read(&registry, |session| session.knows("i")));
    assert_eq!(ids(&registry, &listing(project("p"))), [""; 0]);
}

#[test]
fn readers_cannot_write() {
    let (_directory, registry) = registry();
    let outcome: rusqlite::Result<()> = registry.read(|session| session.add(&image("i", "p", Visibility::Private)));
    assert!(outcome.is_err());
}

#[test]
fn two_processes_see_what_the_other_did() {
    let (directory, one) = registry();
    let other = Registry::open(&directory.path().join("registry.sqlite")).unwrap();
    write(&one, |session| session.add(&image("i", "p", Visibility::Private)));
    let mut seen = read(&other, |session| session.image("i")).unwrap();
    seen.name = Some("renamed".into());
    write(&other, |session| session.save(&mut seen));
    assert_eq!(read(&one, |session| session.image("i")).unwrap().name.as_deref(), Some("renamed"));
}

#[test]
fn a_registry_of_the_future_is_refused() {
    let (directory, registry) = registry();
    drop(registry);
    let path = directory.path().join("registry.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9999).unwrap();
    assert_eq!(Registry::open(&path).err().unwrap().kind, Kind::Unsupported);
}

#[test]
fn who_sees_what() {
    let (_directory, registry) = registry();
    write(&registry, |session| {
        for visibility in [Visibility::Private, Visibility::Shared, Visibility::Community, Visibility::Public] {
            session.add(&image(&format!("my {}", visibility.name()), "me", visibility))?;
            session.add(&image(&format!("their {}", visibility.name()), "them", visibility))?;
        }
        for status in ["pending", "accepted", "rejected"] {
            session.add(&image(status, "them", Visibility::Shared))?;
            session.put_member(&member(status, "me", status))?;
        }
        // Shared once, and then taken back.
        session.add(&image("withdrawn", "them", Visibility::Private))?;
        session.put_member(&member("withdrawn", "me", "accepted"))?;
        let mut killed = image("killed", "me", Visibility::Private);
        killed.status = Status::Killed;
        session.add(&killed)
    });

    let visible = |who: &Caller| {
        let all = [
            "my private",
            "their private",
            "their shared",
            "their community",
            "their public",
            "pending",
            "rejected",
            "withdrawn",
        ];
        all.into_iter().filter(|id| read(&registry, |session| session.visible(who, id)).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(visible(&caller("me")), ["my private", "their community", "their public", "pending", "rejected"]);
    assert_eq!(visible(&caller("stranger")), ["their community", "their public"]);
    assert_eq!(visible(&Caller { is_admin: true, ..caller("stranger") }).len(), 8);

    let me = || listing(project("me"));
    let usual = ["accepted", "my community", "my private", "my public", "my shared", "their public"];
    assert_eq!(sorted(&registry, &me()), usual);
    let with = |wanted, shared_with| Listing { wanted, shared_with, ..me() };
    let accepted = || SharedWith::Status("accepted".into());
    for (wanted, shared_with, expected) in [
        (
            Wanted::Usual,
            SharedWith::Status("pending".into()),
            &["my community", "my private", "my public", "my shared", "pending", "their public"][..],
        ),
        (Wanted::Only(Visibility::Private), accepted(), &["my private"]),
        (Wanted::Only(Visibility::Public), accepted(), &["my public", "their public"]),
        (Wanted::Only(Visibility::Community), accepted(), &["my community", "their community"]),
        (Wanted::Only(Visibility::Shared), SharedWith::All, &["accepted", "my shared", "pending", "rejected"]),
        (
            Wanted::All,
            accepted(),
            &["accepted", "my community", "my private", "my public", "my shared", "their community", "their public"],
        ),
    ] {
        assert_eq!(sorted(&registry, &with(wanted, shared_with)), expected, "{wanted:?}");
    }

    let admin = |wanted| Listing { wanted, ..listing(Viewer { admin: true, project: Some("them".into()) }) };
    assert!(!ids(&registry, &admin(Wanted::Usual)).contains(&"my community".to_owned()));
    assert!(ids(&registry, &admin(Wanted::Usual)).contains(&"their community".to_owned()));
    assert_eq!(ids(&registry, &admin(Wanted::All)).len(), 12);
    let nobody = listing(Viewer::default());
    assert_eq!(sorted(&registry, &nobody), ["my public", "their public"]);
}

#[test]
fn conditions_are_held_against_what_is_there() {
    let (_directory, registry) = registry();
    write(&registry, |session| {
        for number in 0..4_u64 {
            let mut image = image(&number.to_string(), "me", Visibility::Private);
            image.size = Some(number * 10);
            image.name = Some(format!("name' OR 1=1 -- {number}"));
            image.properties.insert("half".into(), (number / 2).to_string());
            image.tags = (0..number).map(|tag| tag.to_string()).collect();
            session.add(&image)?;
        }
        Ok(())
    });
    let property = |name: &str, value: &str| Condition::Property(name.into(), value.into());
    for (conditions, expected) in [
        (vec![Condition::Is("size", Compare::Greater, Value::Integer(10))], vec!["2", "3"]),
        (vec![Condition::In("id", vec!["1".into(), "x".into()])], vec!["1"]),
        (vec![Condition::In("id", vec![])], vec![]),
        (vec![Condition::Is("name", Compare::Equal, Value::Text("name' OR 1=1 -- 2".into()))], vec!["2"]),
        (vec![property("half", "1")], vec!["2", "3"]),
        (vec![property("half", "1"), Condition::Tag("2".into())], vec!["3"]),
        (vec![Condition::Tag("0".into()), Condition::Tag("1".into())], vec!["2", "3"]),
        (vec![property("' OR 1=1 --", "")], vec![]),
        (vec![Condition::Never], vec![]),
    ] {
        let listing = Listing { conditions: conditions.clone(), ..listing(project("me")) };
        assert_eq!(sorted(&registry, &listing), expected, "{conditions:?}");
    }
}

const KEYS: [SortKey; 8] = [
    SortKey::Name,
    SortKey::Status,
    SortKey::ContainerFormat,
    SortKey::DiskFormat,
    SortKey::Size,
    SortKey::Id,
    SortKey::CreatedAt,
    SortKey::UpdatedAt,
];

/// Images with many equal values, spread over what a project sees.
fn assorted(registry: &Registry) {
    write(registry, |session| {
        for number in 0..60_u64 {
            let (owner, visibility) = match number % 4 {
                0 => ("me", Visibility::Private),
                1 => ("them", Visibility::Public),
                2 => ("them", Visibility::Shared),
                _ => ("me", Visibility::Public),
            };
            let mut image = image(&format!("{:02}", (number * 37) % 60), owner, visibility);
            image.name = [None, Some(""), Some("a"), Some("B")][(number as usize % 4) ^ 1].map(str::to_owned);
            image.size = [None, Some(0), Some(5)][number as usize % 3];
            image.disk_format = [None, Some("raw"), Some("iso")][number as usize % 3].map(str::to_owned);
            image.created_at = (number / 7) as i64;
            image.updated_at = (number % 5) as i64;
            session.add(&image)?;
            if image.visibility == Visibility::Shared {
                session.put_member(&member(&image.id, "me", "accepted"))?;
            }
        }
        Ok(())
    });
}

#[test]
fn pages_are_the_whole_list_cut_into_pieces() {
    use Direction::{Ascending, Descending};
    let (_directory, registry) = registry();
    assorted(&registry);
    let mut orders = Vec::new();
    for key in KEYS {
        for directions in [[Ascending; 3], [Descending; 3], [Ascending, Descending, Descending]] {
            let mut order: Vec<_> = [key, SortKey::CreatedAt, SortKey::Id].into_iter().zip(directions).collect();
            order.dedup_by_key(|(key, _)| *key);
            orders.push(order);
        }
    }
    orders.push(vec![
        (SortKey::DiskFormat, Descending),
        (SortKey::Name, Ascending),
        (SortKey::Size, Descending),
        (SortKey::Id, Ascending),
    ]);
    for viewer in [project("me"), Viewer { admin: true, project: None }] {
        for sort in &orders {
            let whole = Listing { sort: sort.clone(), ..listing(viewer.clone()) };
            let expected = ids(&registry, &whole);
            assert_eq!(expected.iter().collect::<HashSet<_>>().len(), 60);
            let mut pieces: Vec<String> = Vec::new();
            let mut marker = None;
            loop {
                let page = Listing { limit: 7, marker: marker.take(), ..whole.clone() };
                let images = read(&registry, |session| session.list(&page));
                pieces.extend(images.iter().map(|image| image.id.clone()));
                match images.into_iter().nth(6) {
                    Some(last) => marker = Some(last),
                    None => break,
                }
            }
            assert_eq!(pieces, expected, "{sort:?}");
        }
    }
}

/// However many images there are, a page is found by its index: nothing is
/// sorted but what the parts of a page have given.
#[test]
fn a_page_costs_the_same_however_many_images_there_are() {
    let (_directory, registry) = registry();
    assorted(&registry);
    for key in [SortKey::CreatedAt, SortKey::Name, SortKey::UpdatedAt, SortKey::Size] {
        for direction in [Direction::Ascending, Direction::Descending] {
            let mut sort = vec![(key, direction), (SortKey::CreatedAt, direction), (SortKey::Id, direction)];
            sort.dedup_by_key(|(key, _)| *key);
            for (viewer, wanted) in [
                (Viewer { admin: true, project: Some("me".into()) }, Wanted::Usual),
                (Viewer { admin: true, project: None }, Wanted::All),
                (project("me"), Wanted::Only(Visibility::Private)),
                (project("me"), Wanted::Usual),
            ] {
                let mut listing = Listing { sort: sort.clone(), wanted, limit: 25, ..listing(viewer) };
                for _ in 0..2 {
                    let plan = read(&registry, |session| plan(session, &listing));
                    let scans = plan.iter().filter(|step| step.starts_with("SCAN images") && !step.contains("INDEX"));
                    assert_eq!(scans.count(), 0, "{key:?} {plan:#?}");
                    // What is sorted is what the parts gave, a page each, and never what was searched.
                    let sorted = plan
                        .windows(2)
                        .find(|steps| steps[0].contains("images USING INDEX") && steps[1].contains("TEMP B-TREE"));
                    assert_eq!(sorted, None, "{key:?} {plan:#?}");
                    listing.marker = read(&registry, |session| session.image("30"));
                }
            }
        }
    }
}

#[test]
fn files_go_from_state_to_state() {
    let (_directory, registry) = registry();
    write(&registry, |session| {
        session.add(&image("i", "me", Visibility::Private))?;
        session.add_file("f", "i", "fast", "run")?;
        session.add_file("g", "i", "slow", "run")
    });
    assert_eq!(read(&registry, |session| session.runs()), ["run"]);
    assert_eq!(read(&registry, |session| session.unsettled("run", FileState::Incoming)).len(), 2);
    assert!(write(&registry, |session| session.complete_file("f", FileState::Stored, 9, b"sums")));
    assert_eq!(read(&registry, |session| session.image("i")).unwrap().stores, ["fast"]);
    assert_eq!(read(&registry, |session| session.sums("f")), Some(b"sums".to_vec()));
    write(&registry, |session| session.discard_file("g", "other"));
    // Given up by one, it cannot be completed by the other any more.
    assert!(!write(&registry, |session| session.complete_file("g", FileState::Stored, 9, b"")));
    assert_eq!(read(&registry, |session| session.unsettled("other", FileState::Garbage)).len(), 1);
    write(&registry, |session| session.forget_file("g"));
    assert_eq!(read(&registry, |session| session.runs()), [""; 0]);
}

#[test]
fn usage_counts_every_copy_of_a_project() {
    let (_directory, registry) = registry();
    write(&registry, |session| {
        for (id, owner) in [("a", "me"), ("b", "me"), ("c", "them")] {
            let mut image = image(id, owner, Visibility::Private);
            image.size = Some(10);
            session.add(&image)?;
            for store in ["fast", "slow"] {
                let file = format!("{id}-{store}");
                session.add_file(&file, id, store, "run")?;
                session.complete_file(&file, FileState::Stored, 10, b"")?;
            }
        }
        session.discard_file("a-slow", "run")
    });
    assert_eq!(read(&registry, |session| session.usage("me", "")), 30);
    assert_eq!(read(&registry, |session| session.usage("me", "b")), 10);
    assert_eq!(read(&registry, |session| session.usage("nobody", "")), 0);
}
