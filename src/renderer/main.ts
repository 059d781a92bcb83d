import './styles/main.css';

import { createPinia } from 'pinia';
import { createApp } from 'vue';

import App from './App.vue';
import { router } from './router.ts';
import { keepThemeInSheet, vuetify } from './vuetify.ts';

const app = createApp(App);
keepThemeInSheet(app);
app.use(createPinia()).use(router).use(vuetify).mount('#app');
