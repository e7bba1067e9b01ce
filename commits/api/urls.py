"""Addresses of the commit routes, below /api/v1/."""

from django.urls import path

from commits.api import backfills, corrections, credit_notes, explanations, requests, sandbox, views

urlpatterns = [
    path("commits", views.CommitsView.as_view()),
    path("commits/<uuid:commit_id>", views.CommitView.as_view()),
    path("commits/<uuid:commit_id>/activate", views.ActivateView.as_view()),
    path("commits/<uuid:commit_id>/quarters", views.QuartersView.as_view()),
    path("commits/<uuid:commit_id>/quarters/<int:index>/plan", views.PlanView.as_view()),
    path("commits/<uuid:commit_id>/quarters/<int:index>/approve", views.ApproveCloseView.as_view()),
    path("commits/<uuid:commit_id>/true-ups", requests.TrueUpsView.as_view()),
    path("true-ups/<uuid:true_up_id>/approve", requests.ApproveTrueUpView.as_view()),
    path("true-ups/<uuid:true_up_id>/reject", requests.RejectTrueUpView.as_view()),
    path("commits/<uuid:commit_id>/credits", requests.CreditsView.as_view()),
    path("credits/<uuid:credit_id>/approve", requests.ApproveCreditView.as_view()),
    path("credits/<uuid:credit_id>/reject", requests.RejectCreditView.as_view()),
    path("commits/<uuid:commit_id>/overrides", requests.OverridesView.as_view()),
    path("overrides/<uuid:override_id>/approve", requests.ApproveOverrideView.as_view()),
    path("overrides/<uuid:override_id>/reject", requests.RejectOverrideView.as_view()),
    path("credit-notes/<uuid:note_id>/approve", credit_notes.CreditNoteApproveView.as_view()),
    path("explain/invoice-lines/<int:pk>", explanations.ExplainLineView.as_view()),
    path("explain/postings/<int:pk>", explanations.ExplainPostingView.as_view()),
    path("explain/grants/<int:pk>", explanations.ExplainGrantView.as_view()),
    path("closes", views.ClosesView.as_view()),
    path("backfills", backfills.BackfillsView.as_view()),
    path("backfills/<uuid:backfill_id>", backfills.BackfillView.as_view()),
    path("backfills/<uuid:backfill_id>/events", backfills.StagedEventsView.as_view()),
    path("backfills/<uuid:backfill_id>/preview", backfills.BackfillPreviewView.as_view()),
    path("backfills/<uuid:backfill_id>/approve", backfills.ApproveBackfillView.as_view()),
    path("backfills/<uuid:backfill_id>/reject", backfills.RejectBackfillView.as_view()),
    path("customers/<str:key>/corrections", corrections.CorrectionsView.as_view()),
    path("customers/<str:key>/balance", views.BalanceView.as_view()),
    path("sandbox/clock", sandbox.SandboxClockView.as_view()),
]
