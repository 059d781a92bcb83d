import { createRouter, createWebHashHistory } from 'vue-router';

import HomeView from './views/HomeView.vue';

declare module 'vue-router' {
  interface RouteMeta {
    title: string;
    /** The screen shows a project, so there must be one. */
    project?: boolean;
  }
}

/** Routes behind "#", so that the page can be served from any path and from a file scheme. */
export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: '/', name: 'home', component: HomeView, meta: { title: 'Home' } },
    {
      path: '/models',
      name: 'models',
      component: () => import('./views/ModelsView.vue'),
      meta: { title: 'Models', project: true },
    },
    { path: '/data', name: 'data', component: () => import('./views/DataView.vue'), meta: { title: 'Data', project: true } },
    {
      path: '/experiments',
      name: 'experiments',
      component: () => import('./views/ExperimentsView.vue'),
      meta: { title: 'Experiments', project: true },
    },
    {
      path: '/experiments/new',
      name: 'new-experiment',
      component: () => import('./views/NewExperimentView.vue'),
      meta: { title: 'New experiment', project: true },
    },
    {
      path: '/results/:experiment(\\d+)?',
      name: 'results',
      component: () => import('./views/ResultsView.vue'),
      meta: { title: 'Results', project: true },
    },
    {
      path: '/merge/:tab(write|moved|judge|recipe|superb)?',
      name: 'merge',
      component: () => import('./views/MergeView.vue'),
      meta: { title: 'Merge' },
    },
    {
      path: '/speed/:tab(setup|results)?/:run(\\d+)?',
      name: 'speed',
      component: () => import('./views/SpeedView.vue'),
      meta: { title: 'Speed', project: true },
    },
    {
      path: '/similarity',
      name: 'similarity',
      component: () => import('./views/SimilarityView.vue'),
      meta: { title: 'Similarity', project: true },
    },
    {
      path: '/studies',
      name: 'studies',
      component: () => import('./views/StudiesView.vue'),
      meta: { title: 'Published studies' },
    },
    { path: '/settings', name: 'settings', component: () => import('./views/SettingsView.vue'), meta: { title: 'Settings' } },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
});
