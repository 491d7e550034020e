//! Jobs: the next slice, within the allowance that the connection's outbox leaves.

use crate::automation::Queue;
use crate::command::{Refusal, Reply};
use crate::decide::automation::{known_owner, share_on_demand};
use crate::decide::draft::Draft;
use crate::decide::write::{carried, is_open, shared_content};
use crate::decide::{connection, control, links, owner, pause, permit, reconcile, record, share, task};
use crate::event::{Closing, JobAdvanced, JobEnd, JobStarted};
use crate::job::{Job, JobKind};
use crate::limits::{BATCH_RECORDS_MAX, JOB_REASONS_MAX, JOB_SLICE_MAX};
use crate::message::EndReason;
use crate::people::Permission;
use crate::sharing::{Forwarding, TaskChoice, task_object};
use crate::state::{Connection, Record, Share, ShareRole, ShareStatus, State};
use crate::view::{OpenView, RecordView};
use crate::{
    AssignTo, ConnectionId, FieldName, JobId, ObjectName, QueueName, RecordId, RuleName, ShareId, Timestamp,
    UserName, ViewName,
};

mod whole;

/// Most items that a slice looks at, whether or not it has something to do for them.
const LOOKED_AT_MAX: usize = 10 * JOB_SLICE_MAX;

/// Begins a job that a person asked for.
pub(super) fn start(draft: &mut Draft<'_>, kind: &JobKind) -> Result<Reply, Refusal> {
    let Some(connection) = kind.connection() else {
        whole::check(draft, kind)?;
        return Ok(Reply::Job(begin(draft, kind.clone())));
    };
    let connection = share::active(draft.state, connection)?;
    if let JobKind::Forward { records: Some(records), .. } = kind
        && records.len() > BATCH_RECORDS_MAX
    {
        let text = format!("at most {BATCH_RECORDS_MAX} records can be named: name fewer, or forward all");
        return Err(Refusal::invalid("limit_reached", text));
    }
    if let JobKind::Accept { to: Some(AssignTo::Owner(owner)), .. } = kind {
        known_owner(draft.state, owner)?;
    }
    if let JobKind::Forward { view: Some(view), .. } | JobKind::Stop { view: Some(view), .. } = kind {
        may_open(draft, view)?;
    }
    if let JobKind::Stop { object, .. } = kind {
        record::object(draft.state, object)?;
    }
    if let JobKind::Forward { object, .. } = kind {
        share::by_hand(draft.state, object)?;
    }
    if let JobKind::Forward { object, .. } = kind
        && !connection.publish.contains_key(object)
    {
        let text = format!("{object} is not published to {}: publish it first", connection.display_name());
        return Err(Refusal::conflict("not_published", text));
    }
    Ok(Reply::Job(begin(draft, kind.clone())))
}

/// Whether the actor may use a list view, and it can be used.
fn may_open(draft: &Draft<'_>, view: &ViewName) -> Result<(), Refusal> {
    let (view, _) = draft.state.open_view(view)?;
    if draft.state.belongs(&draft.actor, &view.audience)
        || draft.state.may(&draft.actor, Permission::ModifyAllData)
    {
        return Ok(());
    }
    let text =
        format!("the view {} is for others than {}: ask for a view of your own", view.name, draft.actor);
    Err(Refusal::forbidden(text))
}

/// Begins a job.
pub(super) fn begin(draft: &mut Draft<'_>, mut kind: JobKind) -> JobId {
    if let JobKind::Forward { records: Some(records), .. } = &mut kind {
        records.sort_unstable();
        records.dedup();
    }
    let job = JobId(draft.draw());
    let actor = draft.actor.clone();
    draft.emit(JobStarted { job, kind, actor });
    job
}

/// What one slice did.
#[derive(Default)]
struct Slice {
    looked_at: usize,
    done: usize,
    skipped: u64,
    reasons: Vec<String>,
    /// The last id that was looked at.
    cursor: Option<u128>,
    /// Whether nothing is left.
    finished: bool,
}

impl Slice {
    /// A slice that has done nothing yet.
    fn of(job: &Job) -> Self {
        Self { cursor: job.cursor, ..Self::default() }
    }

    /// Goes through items behind the cursor, each with its id, as far as the allowance reaches. `one` says
    /// how much was done for an item, or why nothing was.
    fn through<I: std::fmt::Display + Copy, T>(
        mut self,
        allowance: usize,
        mut items: impl Iterator<Item = (I, T)>,
        cursor: impl Fn(I) -> u128,
        mut one: impl FnMut(I, T) -> Result<usize, Refusal>,
    ) -> Self {
        while self.has_room(allowance) {
            let Some((id, item)) = items.next() else {
                self.finished = true;
                break;
            };
            self.looked_at += 1;
            self.cursor = Some(cursor(id));
            match one(id, item) {
                Ok(done) => self.done += done,
                Err(refusal) => self.skip(id, &refusal),
            }
        }
        self
    }

    /// Whether one more item may be looked at.
    const fn has_room(&self, allowance: usize) -> bool {
        self.done < allowance && self.looked_at < LOOKED_AT_MAX
    }

    /// What is left is not done.
    fn refused(why: &Refusal) -> Self {
        Self::default().ended("the rest", why)
    }

    /// It cannot go on with `what`: nothing is left.
    fn ended(mut self, what: &str, why: &Refusal) -> Self {
        self.skip(what, why);
        self.finished = true;
        self
    }

    fn skip(&mut self, id: impl std::fmt::Display, why: &Refusal) {
        self.skipped += 1;
        if self.reasons.len() < JOB_REASONS_MAX {
            self.reasons.push(format!("{id}: {why}"));
        }
    }
}

pub(super) fn advance(draft: &mut Draft<'_>, id: JobId, allowance: usize) -> Result<Reply, Refusal> {
    let Some(job) = draft.state.jobs.get(&id) else {
        return Err(Refusal::not_found("unknown_job", format!("there is no job {id}, or it is done")));
    };
    let allowance = allowance.min(JOB_SLICE_MAX);
    let Some(over) = job.kind.connection() else {
        let slice = match permit::job(draft.state, job) {
            Ok(()) => whole::advance(draft, job, allowance),
            Err(refusal) => Slice::refused(&refusal),
        };
        finish(draft, id, slice);
        return Ok(Reply::Job(id));
    };
    let over = connection::find(draft.state, over)?;
    let closing = matches!(job.kind, JobKind::Close { .. });
    if !closing && !over.is_active() {
        // What it was to do is void; a deactivated connection shares nothing.
        let slice = Slice { finished: !over.suspended, cursor: job.cursor, ..Slice::default() };
        if slice.finished {
            finish(draft, id, slice);
        }
        return Ok(Reply::Unchanged);
    }
    if let Err(refusal) = permit::job(draft.state, job) {
        // The right was taken away since: what is left is not done.
        finish(draft, id, Slice::refused(&refusal));
        return Ok(Reply::Job(id));
    }
    if waits_for_pause(over, &job.kind) {
        return Ok(Reply::Unchanged);
    }
    let slice = match &job.kind {
        JobKind::Tasks { record, choice, .. } => tasks(draft, job, over, *record, *choice, allowance),
        JobKind::Forward { connection, object, records, view, how } => {
            let chosen = Chosen { object, records: records.as_deref(), view: view.as_ref(), how: *how };
            forward(draft, job, *connection, &chosen, allowance)
        }
        JobKind::Stop { object, view, .. } => stop(draft, job, over, object, view.as_ref(), allowance),
        JobKind::Reconcile { .. } => {
            let (cursor, done) = reconcile::send_states(draft, over, job.cursor.map(ShareId));
            Slice { done, finished: cursor.is_none(), cursor: cursor.map(|id| id.0), ..Slice::default() }
        }
        JobKind::ShareQueue { queue, .. } => share_queue(draft, job, over, queue, allowance),
        JobKind::ApplySharing { rule, .. } => apply_sharing(draft, job, over, rule, allowance),
        JobKind::FillLinks { share, .. } => links_of(draft, job, over, *share, allowance, true),
        JobKind::TellLinks { share, .. } => links_of(draft, job, over, *share, allowance, false),
        kind => shares(draft, job, over, kind, allowance),
    };
    finish(draft, id, slice);
    Ok(Reply::Job(id))
}

/// Whether a job has to wait until what it works for is not paused any more.
fn waits_for_pause(over: &Connection, kind: &JobKind) -> bool {
    match kind {
        JobKind::CatchUp { .. } => over.pauses.whole(),
        JobKind::Forward { object, .. }
        | JobKind::Backfill { object, .. }
        | JobKind::TellOwners { object, .. } => over.object_paused(object),
        JobKind::Tasks { .. } => over.pauses.any() && over.object_paused(&task_object()),
        _ => false,
    }
}

fn finish(draft: &mut Draft<'_>, id: JobId, slice: Slice) {
    let cursor = slice.cursor.filter(|_| !slice.finished);
    let job = draft.state.jobs.get(&id).filter(|_| cursor.is_none());
    let ended = job.map(|job| JobEnd {
        connection: job.kind.connection(),
        kind: job.kind.as_str().into(),
        actor: job.actor.clone(),
        done: job.done + slice.done as u64,
        skipped: job.skipped + slice.skipped,
    });
    draft.emit(JobAdvanced {
        job: id,
        cursor,
        done: slice.done as u64,
        skipped: slice.skipped,
        reasons: slice.reasons,
        ended: ended.map(Box::new),
    });
}

/// The view that a job goes by, if any; a slice that ends the job if it cannot be opened.
fn opened<'s>(
    state: &'s State,
    job: &Job,
    view: Option<&ViewName>,
) -> Result<Option<(&'s RecordView, OpenView)>, Slice> {
    let view = view.map(|name| state.open_view(name)).transpose();
    view.map_err(|refusal| Slice::of(job).ended("the view", &refusal))
}

/// Whether a record belongs to a view; without one, each does.
fn chosen_by(
    state: &State,
    view: Option<&(&RecordView, OpenView)>,
    record: &Record,
    user: &UserName,
    now: Timestamp,
) -> bool {
    view.is_none_or(|(view, open)| state.view_matches((view, open), record, user, now))
}

/// Which records a job forwards.
struct Chosen<'a> {
    object: &'a ObjectName,
    records: Option<&'a [RecordId]>,
    view: Option<&'a ViewName>,
    how: Forwarding,
}

/// Shares the tasks of a record.
fn tasks(
    draft: &mut Draft<'_>,
    job: &Job,
    over: &Connection,
    record: RecordId,
    choice: TaskChoice,
    allowance: usize,
) -> Slice {
    let tasks = draft.state.tasks_of(record, job.cursor.map(RecordId)).map(|id| (id, ()));
    let one = |id, ()| task::one_of(draft, over, id, choice).map(usize::from);
    Slice::of(job).through(allowance, tasks, |id| id.0, one)
}

fn forward(
    draft: &mut Draft<'_>,
    job: &Job,
    over: ConnectionId,
    chosen: &Chosen<'_>,
    allowance: usize,
) -> Slice {
    let (state, now) = (draft.state, draft.now);
    let after = job.cursor.map(RecordId);
    let view = match opened(state, job, chosen.view) {
        Ok(view) => view,
        Err(slice) => return slice,
    };
    let meant = |id: RecordId| {
        view.is_none()
            || state.record(id).is_some_and(|r| chosen_by(state, view.as_ref(), r, &job.actor, now))
    };
    let ids: Box<dyn Iterator<Item = RecordId>> = match chosen.records {
        Some(records) => {
            Box::new(records.iter().copied().filter(move |id| after.is_none_or(|after| *id > after)))
        }
        None => Box::new(state.records_of(chosen.object, after).map(|(id, _)| id)),
    };
    let one = |id, ()| if meant(id) { share::forward(draft, id, over, chosen.how).map(|_| 1) } else { Ok(0) };
    Slice::of(job).through(allowance, ids.map(|id| (id, ())), |id| id.0, one)
}

/// Stops sharing what is shared of an object.
fn stop(
    draft: &mut Draft<'_>,
    job: &Job,
    over: &Connection,
    object: &ObjectName,
    view: Option<&ViewName>,
    allowance: usize,
) -> Slice {
    let (state, now) = (draft.state, draft.now);
    let view = match opened(state, job, view) {
        Ok(view) => view,
        Err(slice) => return slice,
    };
    let records = state.records_of(object, job.cursor.map(RecordId));
    let one = |id, record: &Record| {
        let shared = record.share_over(over.id).and_then(|id| over.shares.get(&id)).is_some_and(is_open);
        if !shared || !chosen_by(state, view.as_ref(), record, &job.actor, now) {
            return Ok(0);
        }
        share::end(draft, id, over.id, EndReason::Stopped).map(|_| 1)
    };
    Slice::of(job).through(allowance, records, |id| id.0, one)
}

/// Offers what a queue owns; what is shared already is not looked at again.
fn share_queue(
    draft: &mut Draft<'_>,
    job: &Job,
    over: &Connection,
    queue: &QueueName,
    allowance: usize,
) -> Slice {
    use std::ops::Bound::{Excluded, Unbounded};
    let how = draft.state.automation.queues.get(queue).map(Queue::how).unwrap_or_default();
    let start = job.cursor.map_or(Unbounded, |id| Excluded(RecordId(id)));
    let records = draft.state.records.range((start, Unbounded)).map(|(id, record)| (*id, record));
    let one = |id, record: &Record| {
        if record.deleted || record.owner.queue() != Some(queue) {
            return Ok(0);
        }
        share::forward(draft, id, over.id, how).map(|_| 1)
    };
    Slice::of(job).through(allowance, records, |id| id.0, one)
}

/// Lets sharing rules look at the records of a rule's object, for one connection.
fn apply_sharing(
    draft: &mut Draft<'_>,
    job: &Job,
    over: &Connection,
    rule: &RuleName,
    allowance: usize,
) -> Slice {
    let state = draft.state;
    let Some(rule) = state.automation.sharing.get(rule) else {
        return Slice { finished: true, ..Slice::of(job) };
    };
    let records = state.records_of(&rule.object, job.cursor.map(RecordId));
    let one = |id, record: &Record| share_on_demand(draft, id, record, over.id).map(usize::from);
    Slice::of(job).through(allowance, records, |id| id.0, one)
}

/// Fills the references that waited for the record of a share, or tells those to it.
fn links_of(
    draft: &mut Draft<'_>,
    job: &Job,
    over: &Connection,
    id: ShareId,
    allowance: usize,
    fill: bool,
) -> Slice {
    let (state, after) = (draft.state, job.cursor.map(RecordId));
    let Some(target) = over.shares.get(&id).and_then(|share| share.record) else {
        return Slice { finished: true, ..Slice::of(job) };
    };
    let records: Box<dyn Iterator<Item = (RecordId, &Record)>> = if fill {
        Box::new(state.awaiting(over.id, id, after))
    } else {
        Box::new(state.referrers(target, after))
    };
    let one = |record_id, record: &Record| {
        let done = if fill {
            links::fill(draft, over, id, record_id, record)
        } else {
            links::tell(draft, over, id, target, record)
        };
        Ok(usize::from(done))
    };
    Slice::of(job).through(allowance, records, |id| id.0, one)
}

/// Jobs that go through the shares of a connection.
fn shares(draft: &mut Draft<'_>, job: &Job, over: &Connection, kind: &JobKind, allowance: usize) -> Slice {
    use std::ops::Bound::{Excluded, Unbounded};
    let start = job.cursor.map_or(Unbounded, |id| Excluded(ShareId(id)));
    let shares = over.shares.range((start, Unbounded)).map(|(id, share)| (*id, share));
    let one = |id, share: &Share| one_share(draft, over, id, share, kind).map(usize::from);
    Slice::of(job).through(allowance, shares, |id| id.0, one)
}

/// Does what a job is for with one share; false if there is nothing to do.
fn one_share(
    draft: &mut Draft<'_>,
    over: &Connection,
    id: ShareId,
    share: &Share,
    kind: &JobKind,
) -> Result<bool, Refusal> {
    match kind {
        JobKind::Accept { object, to, .. } => {
            let waits = share.role == ShareRole::Copy && share.status == ShareStatus::Offered;
            let meant = object.as_ref().is_none_or(|object| *object == share.object);
            if waits && meant {
                share::accept(draft, over.id, id, to.as_ref(), None)?;
            }
            Ok(waits && meant)
        }
        JobKind::TellOwners { object, .. } => {
            let meant = share.status == ShareStatus::Active && share.object == *object;
            Ok(meant && owner::tell(draft, over, id, share, share.generation))
        }
        JobKind::MapOwners { .. } => Ok(owner::map_again(draft, over, share)),
        JobKind::Backfill { object, fields, .. } => Ok(backfill(draft, over, id, share, object, fields)),
        JobKind::Close { .. } if is_open(share) => {
            share::close(draft, over, id, share, Closing::Ended(EndReason::Deactivated), false);
            Ok(true)
        }
        JobKind::Grant { .. }
            if share.role == ShareRole::Origin
                && share.status == ShareStatus::Accepting
                && !over.object_paused(&share.object) =>
        {
            share::grant(draft, over, id, share, share.whole);
            Ok(true)
        }
        JobKind::CatchUp { .. } => {
            let object = over.local_object(id, None);
            let paused = object.is_some_and(|object| over.object_paused(object));
            Ok(!paused && pause::catch_up(draft, over, id, share))
        }
        JobKind::Retry { .. } if control::waits(draft.state, over, share) => {
            control::retry(draft, over.id, id).map(|_| true)
        }
        JobKind::Close { .. }
        | JobKind::Grant { .. }
        | JobKind::Retry { .. }
        | JobKind::FillLinks { .. }
        | JobKind::TellLinks { .. }
        | JobKind::Compute { .. }
        | JobKind::HandOver { .. }
        | JobKind::Assign { .. }
        | JobKind::FollowParent { .. }
        | JobKind::Forward { .. }
        | JobKind::ShareQueue { .. }
        | JobKind::Tasks { .. }
        | JobKind::Stop { .. }
        | JobKind::ApplySharing { .. }
        | JobKind::Reconcile { .. } => Ok(false),
    }
}

fn backfill(
    draft: &mut Draft<'_>,
    over: &Connection,
    id: ShareId,
    share: &Share,
    object: &ObjectName,
    fields: &[FieldName],
) -> bool {
    let record = share.record.and_then(|record| draft.state.record(record));
    let Some(record) = record.filter(|r| share.status == ShareStatus::Active && r.object == *object) else {
        return false;
    };
    // Also what came over this connection: the partner may have made a new copy since, which never
    // had it. Where it has it, the equal stamp leaves it as it is.
    let mut content = shared_content(over, record, true, |name| fields.contains(name));
    for (name, value, stamp) in carried(draft.state, over, record) {
        if fields.contains(name) {
            content.set(name.clone(), value, stamp);
        }
    }
    share::send_snapshot(draft, over, id, share.generation, object, content)
}
